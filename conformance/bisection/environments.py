"""An environment per release, made once and kept in the user's cache folder.

The framework is pinned to the release; what it needs is resolved as it was when the index got that
release, so that an old release runs with what its users had, and an environment made again is the
same.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from packaging.utils import canonicalize_name
from packaging.version import Version

from conformance import content
from conformance.bisection.index import Pip
from conformance.discovery import Backend, UsageError
from conformance.requirements import distributions

LINE = 160
MARGIN = datetime.timedelta(days=1)
DONE = "conformance-environment"
LEAST_NUMPY = "numpy>=1.23"


class NotInstallable(Exception):
    """A release that cannot be installed."""


@dataclass(frozen=True)
class Recipe:
    """What environments of a backend are made of.

    ``package`` is the distribution whose releases are tried, ``others`` are the backend's other
    distributions, in the version that fits. ``uv`` is its path, None where pip does the work.
    """

    package: str
    others: tuple[str, ...]
    pip: Pip
    version: str
    uv: str | None
    home: Path

    @classmethod
    def of(cls, backend: Backend, package: str | None, python: str, home: Path) -> Recipe:
        """How environments of a backend are made.

        Raises:
            UsageError: the backend does not say what it installs, or not this package; the
                interpreter has no pip.
        """
        names = distributions(backend.requirements)
        if not names:
            where = content.display(backend.requirements)
            raise UsageError(f"{where} names no distribution that {backend.name} could be made of")
        chosen = package or names[0]
        others = [n for n in names if canonicalize_name(n) != canonicalize_name(chosen)]
        if len(others) == len(names):
            raise UsageError(f"--package {chosen}: {backend.name} is made of {', '.join(names)}")
        pip = Pip.of(python)
        return cls(chosen, tuple(others), pip, _python_version(python), find_uv(), home)

    def folder(self, release: Version) -> Path:
        """Where the environment of a release lies."""
        about = [self.package, *self.others, self.pip.python, self.version, self.pip.index]
        digest = hashlib.sha256("\n".join(about).encode()).hexdigest()[:8]
        return self.home / "environments" / f"{self.package}-{release}-py{self.version}-{digest}"

    def python(self, release: Version, uploaded: datetime.datetime | None) -> str:
        """The interpreter of a release's environment, which is made where it is not there.

        Raises:
            NotInstallable: it cannot be made.
        """
        folder = self.folder(release)
        python = folder / "bin" / "python"
        with _alone(folder) as lock:
            if not (folder / DONE).exists():
                shutil.rmtree(folder, ignore_errors=True)
                try:
                    self._make(folder, python, release, uploaded, lock)
                except BaseException:
                    shutil.rmtree(folder, ignore_errors=True)
                    raise
                (folder / DONE).write_text(f"{uploaded or ''}\n")
        return str(python)

    def _make(
        self,
        folder: Path,
        python: Path,
        release: Version,
        uploaded: datetime.datetime | None,
        lock: int,
    ) -> None:
        wanted = [f"{self.package}=={release}", *self.others]
        wanted = [LEAST_NUMPY if name == "numpy" else name for name in wanted]
        until = (uploaded + MARGIN).isoformat() if uploaded else ""
        if self.uv is not None:
            making = [self.uv, "venv", "--quiet", "--python", self.pip.python, str(folder)]
            command = [self.uv, "pip", "install", "--quiet", "--python", str(python)]
            command += ["--only-binary", ":all:"]
            command += ["--exclude-newer", until] if until else []
            command += ["--no-index"] if "no-index" in self.pip.settings else []
        else:
            making = [self.pip.python, "-m", "venv", "--without-pip", str(folder)]
            command = [self.pip.python, "-m", "pip", "--python", str(python), "install", "--quiet"]
            command += ["--disable-pip-version-check", "--only-binary", ":all:"]
            command += ["--uploaded-prior-to", until] if until and self._pip_knows_days() else []
        self._run(making, lock)
        self._run([*command, *wanted], lock)

    def _pip_knows_days(self) -> bool:
        command = [self.pip.python, "-m", "pip", "install", "--help"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return "--uploaded-prior-to" in done.stdout

    def _run(self, command: Sequence[str], lock: int) -> None:
        """Run an installer, which keeps the lock for itself if this process is killed."""
        given = {k: v for k, v in self.pip.environment().items() if k not in os.environ}
        environment = {**os.environ, **given} if self.uv is not None else None
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, env=environment, check=False,
                stdin=subprocess.DEVNULL, pass_fds=(lock,),
            )  # fmt: skip
        except OSError as error:
            raise NotInstallable(f"{command[0]}: {error.strerror}") from None
        if done.returncode:
            raise NotInstallable(_reason(done.stderr or done.stdout))


def home() -> Path:
    """The folder that environments and what was found are kept in."""
    return platformdirs.user_cache_path("conformance")


def find_uv() -> str | None:
    """The uv on the path, or beside this interpreter."""
    return shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))


def _python_version(python: str) -> str:
    command = [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _reason(text: str) -> str:
    """What an installer complains about, in one line."""
    lines = [line.strip(" ╰─▶│×·") for line in text.splitlines()]
    told_anyway = ("warning", "hint", "error: no solution found", "no solution found")
    lines = [line for line in lines if line and not line.lower().startswith(told_anyway)]
    errors = [line for line in lines if line.startswith("ERROR:")]
    told = re.sub(r"^(ERROR|cause): ", "", " ".join(" ".join(errors or lines).split()))
    return told if len(told) <= LINE else told[: LINE - 1] + "…"


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[int]:
    """Keep other processes from making the same environment; the lock's file."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()
