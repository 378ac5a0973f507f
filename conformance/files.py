"""Files that are written whole: a reader, or a kill of the writer, meets the old or the new one."""

from __future__ import annotations

from pathlib import Path

from conformance import content
from conformance.discovery import UsageError

DRAFT = ".part"


def put(path: Path, data: str | bytes, *, parents: bool = False) -> Path:
    """Write a file whole and return its path; an existing one is replaced at once.

    What is no regular file, such as ``/dev/stdout``, is written to as it is.

    Args:
        path: The file; a symbolic link leads to it.
        data: What it is to hold; of a text, what UTF-8 cannot say becomes a question mark.
        parents: Make its folders where they are not there.

    Raises:
        UsageError: it cannot be written.
    """
    written = data.encode("utf-8", "replace") if isinstance(data, str) else data
    try:
        real = path.resolve()
        if parents:
            real.parent.mkdir(parents=True, exist_ok=True)
        if real.exists() and not real.is_file():
            real.write_bytes(written)
            return path
        draft = real.with_name(real.name + DRAFT)
        draft.write_bytes(written)
        draft.replace(real)
    except OSError as error:
        told = f"{content.display(path)} cannot be written: {error.strerror}"
        raise UsageError(told) from None
    return path
