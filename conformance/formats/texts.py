"""Text that is safe in XML and in Markdown, whatever a framework printed."""

from __future__ import annotations

import re

ANSI = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|[@-Z\\^_])")
UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 forbids, and the control characters that it only discourages."""
MARKDOWN = re.compile(r"([\\`*_\[\]#|~$])")


def clean(text: str) -> str:
    """The text without colours and control characters; lines and tabs stay."""
    return UNREADABLE.sub("", ANSI.sub("", text).replace("\r\n", "\n"))


def flat(text: str, limit: int = 300) -> str:
    """The clean text on one line, cut where it is long."""
    words = " ".join(clean(text).split())
    return words if len(words) <= limit else words[: limit - 1] + "…"


def prose(text: str) -> str:
    """One line of text that Markdown shows as it is, in a table too."""
    escaped = MARKDOWN.sub(r"\\\1", flat(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def code(text: str) -> str:
    """One line of code in Markdown, in a table too."""
    line = flat(text, 2000)
    fence = "`" * (max(map(len, re.findall("`+", line)), default=0) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") or not line else ""
    return f"{fence}{pad}{line}{pad}{fence}".replace("|", "\\|")
