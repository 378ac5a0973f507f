"""Which backends there are, and which interpreter runs each."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from conformance import content, known
from conformance.adapter import CACHE, Mode
from conformance.content import ContentError
from conformance.known import Registry
from conformance.supervisor import Launch, Limits, Worker
from conformance.worker import protocol
from conformance.worker.protocol import ProtocolError

DESCRIBE_SECONDS = 60.0
PROBE = """
import importlib.util, json, sys
from importlib import metadata
modules, *names = sys.argv[1:]
versions = {}
for name in names:
    try:
        versions[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
missing = [name for name in modules.split() if importlib.util.find_spec(name) is None]
print(json.dumps({"missing": missing, "python": sys.version.split()[0], "versions": versions}))
"""


ALL = "all"
"""The word that stands for every mode."""


class UsageError(Exception):
    """An option names something that is not there."""


@dataclass(frozen=True)
class Target:
    """A backend, one of its APIs, and a mode."""

    backend: str
    api: str
    mode: str

    def __str__(self) -> str:
        return f"{self.backend}/{self.api}/{self.mode}"


@dataclass(frozen=True)
class Backend:
    """What an adapter offers, read without its framework.

    ``spoken`` are the names of the calls that cases may spell, by API.
    ``modules`` are the imports that show that the framework is there; ``shared`` are those of its
    APIs that other backends have, too.
    """

    name: str
    folder: Path
    modules: tuple[str, ...]
    distributions: tuple[str, ...]
    apis: tuple[str, ...]
    modes: Mapping[str, Mode]
    environment: Mapping[str, str]
    seconds_per_case: float
    registry: Registry
    gradients: bool = True
    spoken: Mapping[str, Sequence[str]] = field(default_factory=dict)
    shared: tuple[str, ...] = ()

    @property
    def targets(self) -> tuple[Target, ...]:
        """Every API in every mode that a run takes of itself."""
        return tuple(target for target in self.all_targets if target.mode in self.usual_modes)

    @property
    def all_targets(self) -> tuple[Target, ...]:
        """Every API in every mode, extra ones too."""
        return tuple(Target(self.name, api, mode) for api in self.apis for mode in self.modes)

    @property
    def usual_modes(self) -> tuple[str, ...]:
        """The modes that are not extra."""
        return tuple(name for name, mode in self.modes.items() if not mode.extra)

    def short(self, target: Target) -> str:
        """The least that names a target on the command line: its API, and a mode but the first.

        Before a shared API stands the backend.
        """
        words = [target.api] if target.mode == next(iter(self.modes)) else [target.api, target.mode]
        return "/".join([self.name] * (target.api in self.shared) + words)

    def launch(self, python: str, mode: str, threads: int, cache: Path | None = None) -> Launch:
        """How to start the worker that runs a mode.

        Adapters may keep what they compile in ``cache``, for each other and for later workers.
        """
        kept = {} if cache is None else {CACHE: str(cache.absolute())}
        limits = limited(threads)
        own = {name: os.environ[name] for name in limits if name in os.environ}
        return Launch(
            self.name,
            self.folder,
            python,
            {**limits, **own, **kept, **self.environment, **self.modes[mode].environment},
        )

    def limits(self, mode: str, limits: Limits) -> Limits:
        """The limits of one request in a mode, or in another that shares its workers."""
        environment = self.modes[mode].environment
        sharing = (each for each in self.modes.values() if each.environment == environment)
        return replace(limits, seconds=limits.seconds * max(each.patience for each in sharing))

    @property
    def requirements(self) -> Path:
        """The pinned distributions of the backend's environment."""
        return self.folder / "requirements.txt"


def limited(threads: int) -> dict[str, str]:
    """The environment that makes frameworks use so many threads."""
    names = (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    )
    return dict.fromkeys(names, str(threads))


@dataclass(frozen=True)
class Interpreter:
    """The Python that runs a backend, or the problem that there is none.

    ``origin`` says where it was found. ``versions`` are read from the installed metadata, the
    framework's own first.
    """

    backend: str
    path: str | None
    origin: str
    python: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""

    @property
    def version(self) -> str:
        """The framework's version, empty where it is not known."""
        return next(iter(self.versions.values()), "")


def discover(extra: Sequence[Path] = (), names: Iterable[str] = ()) -> list[Backend]:
    """The backends of the suite's own folder and of ``extra`` ones (each a backend's folder).

    Raises:
        ContentError: an adapter cannot be loaded, or a registry is wrong.
        UsageError: one of ``names`` is no backend.
    """
    wanted = list(names)
    by_name = folders(extra)
    for name in wanted:
        if name not in by_name:
            raise UsageError(f"no backend {name!r}; there are {', '.join(sorted(by_name))}")
    chosen = {name: by_name[name] for name in by_name if not wanted or name in wanted}
    workers = {
        name: Worker(Launch(name, folder, sys.executable, {})) for name, folder in chosen.items()
    }
    try:
        return [_described(name, chosen[name], worker) for name, worker in workers.items()]
    finally:
        for worker in workers.values():
            worker.stop()


def folders(extra: Sequence[Path] = ()) -> dict[str, Path]:
    """The folders of the suite's own backends and of ``extra`` ones, by name.

    Raises:
        UsageError: an extra one is no backend.
    """
    found = [
        folder
        for folder in sorted(content.root("backends").iterdir())
        if (folder / "adapter.py").is_file()
    ]
    return {folder.name: folder for folder in [*found, *map(_folder, extra)]}


def _folder(path: Path) -> Path:
    folder = path.resolve()
    if not (folder / "adapter.py").is_file():
        raise UsageError(f"{path} is no backend: it has no adapter.py")
    return folder


def _described(name: str, folder: Path, worker: Worker) -> Backend:
    adapter = folder / "adapter.py"
    try:
        message = worker.receive(DESCRIBE_SECONDS)
    except (EOFError, ProtocolError):
        message = None
    if message is None:
        raise ContentError(f"does not load: {worker.output() or 'no reply'}", adapter)
    header = message.header
    if header["type"] == "error":
        raise ContentError(f"does not load: {header['error']}", adapter)
    if header["protocol"] != protocol.VERSION:
        raise ContentError(f"speaks protocol {header['protocol']}, not {protocol.VERSION}", adapter)
    return Backend(
        name,
        folder,
        tuple(header["modules"]),
        tuple(header["distributions"]),
        tuple(header["apis"]),
        {mode["name"]: Mode(**mode) for mode in header["modes"]},
        header["environment"],
        header["seconds_per_case"],
        known.load(folder / "known.yaml", name),
        header["gradients"],
        header["spoken"],
        tuple(header["shared"]),
    )


def targets(
    backends: Sequence[Backend], apis: Sequence[str] = (), modes: Sequence[str] = ()
) -> list[Target]:
    """The targets of some APIs and modes; of all APIs and of the usual modes where none is named.

    Raises:
        UsageError: no backend has one of the APIs or modes.
    """
    everything = [target for backend in backends for target in backend.all_targets]
    for what, wanted, there in (
        ("API", apis, {target.api for target in everything}),
        ("mode", modes, {ALL, *(target.mode for target in everything)}),
    ):
        for name in wanted:
            if name not in there:
                raise UsageError(f"no {what} {name!r}; there are {', '.join(sorted(there))}")
    if not modes:
        everything = [target for backend in backends for target in backend.targets]
    return [
        target
        for target in everything
        if (not apis or target.api in apis) and (not modes or ALL in modes or target.mode in modes)
    ]


def matching(backends: Sequence[Backend], text: str) -> list[Target]:
    """The targets that a text names, as `having`: those in extra modes only where no other is.

    Raises:
        UsageError: there is none.
    """
    usual = [target for backend in backends for target in backend.targets]
    everything = [target for backend in backends for target in backend.all_targets]
    found = having(usual, text) or having(everything, text)
    if not found:
        raise UsageError(f"no target has {text!r} in its name; see 'conformance backends'")
    return found


def having(targets: Sequence[Target], text: str) -> list[Target]:
    """The targets of the backend or the API of that name, else those with the text in theirs."""
    return (
        [target for target in targets if text == target.backend]
        or [target for target in targets if text in (target.api, f"{target.backend}/{target.api}")]
        or [target for target in targets if text in str(target)]
    )


def interpreters(
    backends: Sequence[Backend], given: Mapping[str, str] | None = None
) -> dict[str, Interpreter]:
    """The interpreter of each backend.

    The one given on the command line; else this one, if the framework is installed here; else that
    of ``.tox/<backend>``, in the current folder or beside the suite.

    Raises:
        UsageError: a given interpreter does not exist or names no backend.
    """
    given = dict(given or {})
    for name, path in given.items():
        if name not in {backend.name for backend in backends}:
            raise UsageError(f"--python {name}=…: no backend {name!r} takes part")
        if not os.access(path, os.X_OK):
            raise UsageError(f"--python {name}={path}: there is no such interpreter")
    return {backend.name: _find(backend, given.get(backend.name)) for backend in backends}


def _find(backend: Backend, given: str | None) -> Interpreter:
    if given is not None:
        return _probe(backend, given, "--python")
    if not _missing_here(backend):
        return Interpreter(
            backend.name,
            sys.executable,
            "this interpreter",
            ".".join(map(str, sys.version_info[:3])),
            _versions_here(backend),
        )
    for home in dict.fromkeys((Path.cwd(), content.root("backends").parent)):
        python = home / ".tox" / backend.name / "bin" / "python"
        if python.exists():
            return _probe(backend, str(python), content.display(python.parent.parent))
    return Interpreter(
        backend.name,
        None,
        "",
        problem=f"{_missing_here(backend)} not installed here and there is no .tox/{backend.name}",
    )


def _missing_here(backend: Backend) -> str:
    """Which of a backend's modules this interpreter lacks, as the start of a sentence."""
    return _are([name for name in backend.modules if not _found(name)])


def _found(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _are(missing: Sequence[str]) -> str:
    return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'}" if missing else ""


def _versions_here(backend: Backend) -> dict[str, str]:
    versions = {}
    for name in backend.distributions:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _probe(backend: Backend, python: str, origin: str) -> Interpreter:
    command = [python, "-c", PROBE, " ".join(backend.modules), *backend.distributions]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        told = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError):
        return Interpreter(backend.name, None, origin, problem=f"{python} is no working Python")
    if told["missing"]:
        problem = f"{_are(told['missing'])} not installed in {python}"
        return Interpreter(backend.name, None, origin, told["python"], problem=problem)
    return Interpreter(backend.name, python, origin, told["python"], told["versions"])


def remedy(backend: Backend) -> str:
    """How to get a backend that is missing."""
    return (
        f"tox -e {backend.name} --notest, or pip install -r {content.display(backend.requirements)}"
    )
