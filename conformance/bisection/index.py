"""Which releases of a distribution can be installed, and since when they are there.

pip itself is asked for the releases, so that all of its configuration holds (indexes, find-links,
proxies, certificates). The times are those of the index's JSON [PEP 691, PEP 700] or of the same
words in its HTML; without them the rest of an environment is as new as it can be.
"""

from __future__ import annotations

import ast
import datetime
import html.parser
import json
import re
import ssl
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from conformance.discovery import UsageError

PUBLIC = "https://pypi.org/simple"
ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.1"
SECONDS = 120
UPLOADED = re.compile(r"(T[0-9:]+)(\.\d+)?(Z|\+00:00)?$")


@dataclass(frozen=True)
class Pip:
    """The pip of an interpreter, and how it is configured."""

    python: str
    settings: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, python: str) -> Pip:
        """The pip of an interpreter.

        Raises:
            UsageError: it has none.
        """
        done = _pip(python, "config", "list")
        if done.returncode:
            raise UsageError(
                f"{python} has no pip, which knows the releases; install it, or name another "
                "interpreter with --base-python"
            )
        settings = {}
        for line in done.stdout.splitlines():
            name, equals, value = line.partition("=")
            if equals and name.startswith(("global.", "install.", ":env:.")):
                settings[name.rpartition(".")[2]] = str(ast.literal_eval(value))
        return cls(python, settings)

    @property
    def index(self) -> str:
        """The index that pip is configured with."""
        return self.settings.get("index-url", PUBLIC)

    def environment(self) -> dict[str, str]:
        """The same configuration as variables for uv, which does not read pip's."""
        names = {
            "index-url": "UV_DEFAULT_INDEX",
            "extra-index-url": "UV_INDEX",
            "find-links": "UV_FIND_LINKS",
            "cert": "SSL_CERT_FILE",
        }
        told = {uv: self.settings[pip] for pip, uv in names.items() if pip in self.settings}
        links = told.get("UV_FIND_LINKS", "").split()
        if links:
            told["UV_FIND_LINKS"] = ",".join(links)
        if told.get("UV_INDEX"):
            told["UV_INDEX_STRATEGY"] = "unsafe-best-match"
        return told

    def releases(self, name: str, prereleases: bool = False) -> list[Version]:
        """The releases that have a wheel for this interpreter, the oldest first.

        Raises:
            UsageError: the index cannot be asked, or there are none.
        """
        options = ["--only-binary", ":all:", *(["--pre"] if prereleases else [])]
        done = _pip(self.python, "index", "versions", name, *options)
        told = re.search(r"^Available versions: (.+)$", done.stdout, re.MULTILINE)
        if done.returncode or told is None:
            reason = _last(done.stderr) or "no release has a wheel for this interpreter"
            raise UsageError(f"{name}: {reason} (pip of {self.python})")
        public = (text.strip().partition("+")[0] for text in told[1].split(","))
        return sorted({Version(text) for text in public})

    def times(self, name: str) -> dict[Version, datetime.datetime]:
        """When the index got each release; empty where it does not say."""
        request = urllib.request.Request(
            f"{self.index.rstrip('/')}/{canonicalize_name(name)}/", headers={"Accept": ACCEPT}
        )
        if "no-index" in self.settings or not request.full_url.startswith(("http:", "https:")):
            return {}
        try:
            context = ssl.create_default_context(cafile=self.settings.get("cert"))
            with urllib.request.urlopen(request, timeout=SECONDS, context=context) as reply:
                return uploads(reply.read().decode(), reply.headers.get_content_type())
        except (OSError, ValueError, KeyError, AttributeError):
            return {}


def uploads(page: str, kind: str) -> dict[Version, datetime.datetime]:
    """When each release of a project's page was uploaded: its last wheel, where the page says.

    Raises:
        ValueError, KeyError: it is no such page.
    """
    if kind.endswith("json"):
        files = [(file["filename"], file.get("upload-time")) for file in json.loads(page)["files"]]
    else:
        links = _Links()
        links.feed(page)
        files = links.files
    found: dict[Version, datetime.datetime] = {}
    for name, uploaded in files:
        try:
            version = Version(parse_wheel_filename(name)[1].public)
            moment = datetime.datetime.fromisoformat(UPLOADED.sub(r"\1+00:00", uploaded or ""))
        except (InvalidWheelFilename, InvalidVersion, ValueError):
            continue
        found[version] = max(found.get(version, moment), moment)
    return found


class _Links(html.parser.HTMLParser):
    """The files of an index's page, and when each was uploaded."""

    def __init__(self) -> None:
        super().__init__()
        self.files: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "a" and given.get("href"):
            path = str(given["href"]).partition("#")[0]
            name = urllib.parse.unquote(path.rpartition("/")[2])
            self.files.append((name, given.get("data-upload-time")))


def _pip(python: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [python, "-m", "pip", "--disable-pip-version-check", *arguments]
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"pip took more than {SECONDS} s")
    except OSError as error:
        raise UsageError(f"{python} does not start: {error.strerror}") from None


def _last(text: str) -> str:
    """The last line of what pip complains about."""
    lines = [line for line in text.splitlines() if line.startswith("ERROR:")]
    return lines[-1].removeprefix("ERROR:").strip() if lines else ""
