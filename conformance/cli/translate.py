"""``conformance translate``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.syntax import Syntax
from rich.text import Text

from conformance import describe, discovery, request
from conformance.cli.group import BACKENDS, UNEXPECTED, console_for_tables, main, with_options
from conformance.discovery import UsageError
from conformance.side_by_side import excerpts, merging, rendering
from conformance.side_by_side.show import Entry
from conformance.translation import translate
from conformance.translation.translate import Asked, Translation
from conformance.workers import Workers


@main.command("translate")
@click.argument("call")
@click.option("--from", "source", required=True, metavar="NAME", help="The call's backend or API.")
@click.option(
    "--to",
    "targets",
    required=True,
    multiple=True,
    metavar="NAME,…",
    help="The backends or APIs wanted.",
)
@click.option(
    "--input", "data", metavar="N,C,H,W", help="The input's shape; 32 per axis unless given."
)
@click.option(
    "--kernel",
    metavar="O,I,H,W",
    help="The kernel's shape where the call does not say it (transposed: I,O,H,W).",
)
@click.option("--verify", is_flag=True, help="Run the code and compare with the oracle.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True,
    help="How to print it.",
)  # fmt: skip
@with_options(BACKENDS[1:])
def translate_call(
    call: str,
    source: str,
    targets: tuple[str, ...],
    data: str | None,
    kernel: str | None,
    verify: bool,
    form: str,
    backend_dirs: tuple[Path, ...],
    pythons: dict[str, str],
) -> None:
    """Translate a layer's or function's CALL into code that gives exactly the same elsewhere.

    CALL is read, never run, for example "nn.Conv2d(3, 8, 3, padding=1)"; in a function's call
    names stand for tensors. Shapes are given in the order of PyTorch. The exit status is 0, 1
    where --verify finds code that is not right, 2 for bad input.
    """
    words = tuple(filter(None, (word.strip() for text in targets for word in text.split(","))))
    if not words:
        raise UsageError("--to names no backend or API")
    found = discovery.discover(backend_dirs)
    interpreters = discovery.interpreters(found, pythons)
    asked = Asked(call, source, words, data, kernel)
    translation = translate.translate(asked, found, interpreters)
    if verify:
        with Workers({backend.name: backend for backend in found}, interpreters) as workers:
            translation = translate.verified(translation, workers)
    if form == "json":
        click.echo(json.dumps(_json(translation), indent=2, ensure_ascii=False))
    else:
        _print(console_for_tables(highlight=False), translation, verify)
    if translation.failed:
        sys.exit(UNEXPECTED)


def _print(console: Console, translation: Translation, verify: bool) -> None:
    source = translation.source
    shown = "".join(each if each.isprintable() else "�" for each in translation.call)
    console.print(Text.assemble((shown, "bold"), f"  ({source.api})"))
    console.print(Text(describe.request(translation.case.request)))
    for note in translation.notes:
        console.print(Text(note, style="italic"))
    if source.verified:
        console.print(Text(f"{source.api}: {source.verified}", style=_style(source)))
    elif source.way != "native":
        for remark in rendering.remarks(source):
            console.print(Text(f"{source.api} itself: {remark}", style="yellow"))
    for entry in merging.merged(translation.entries):
        console.print()
        _print_entry(console, entry)
    if not verify:
        console.print()
        hint = "chosen by what is known of these versions; --verify runs it"
        console.print(Text(hint, style="dim"))


def _print_entry(console: Console, entry: Entry) -> None:
    about = ", ".join(filter(None, (rendering.framework(entry), entry.layout)))
    way = rendering.WAYS[entry.way]
    console.print(Text.assemble((entry.api, "bold"), f": {way}", (f"  {about}", "dim")))
    for remark in rendering.remarks(entry):
        console.print(Text(remark))
    for each in (entry, *entry.also):
        if each.verified:
            console.print(Text(each.verified, style=_style(each)))
    if entry.code:
        console.print()
        code = excerpts.abridged(entry.code).rstrip()
        console.print(Syntax(code, "python", background_color="default", word_wrap=True))


def _style(entry: Entry) -> str:
    return {True: "green", False: "red", None: "magenta"}[entry.right]


def _json(translation: Translation) -> dict[str, Any]:
    """The translation as JSON values, in the words of ``conformance show --format json``."""
    return {
        "version": 1,
        "call": translation.call,
        "words": describe.request(translation.case.request),
        "request": request.to_json(translation.case.request),
        "notes": translation.notes,
        "source": _entry(translation.source),
        "targets": [_entry(entry) for entry in translation.entries],
    }


def _entry(entry: Entry) -> dict[str, Any]:
    first = entry.verdicts[0]
    return {
        "backend": entry.backend,
        "version": entry.version,
        "installed": entry.installed,
        "api": entry.api,
        "mode": first.mode,
        "layout": entry.layout,
        "way": entry.way,
        "reason": first.reason,
        "known": first.known,
        "code": entry.code,
        "verified": {"text": entry.verified, "right": entry.right} if entry.verified else None,
    }
