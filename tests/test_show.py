"""A case side by side: what is chosen, what the obvious spelling gives, and how it is printed."""

from __future__ import annotations

import dataclasses
import html
import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from conformance import cases, content, discovery
from conformance.cases import Case
from conformance.discovery import Backend
from conformance.side_by_side import excerpts, rendering, show, spelling
from conformance.side_by_side.lowerings import Speakers
from conformance.side_by_side.show import Entry, SideBySide
from conformance.workers import Workers
from tests.support import HERE, Command

ROOT = HERE.parent
UNEVEN = "tutorials/padding-and-stride/uneven"
CASES = {case.id: case for case in cases.load([content.root("cases")])}
SAMPLE = [name for name in CASES if name.startswith(("tutorials", "edge"))][::3]
SAMPLE += [name for name in CASES if name.startswith("external")][::12]
HOSTILE = """\
op: conv
source: "javascript:alert(1)//<b>"
cases:
  - id: a
    note: "<script>alert('n')</script> | `code` \\e[31m [x](https://evil.example) &amp; \\u202e"
    input: {shape: [1, 1, 4, 4]}
    kernel: {shape: [1, 1, 3, 3]}
    padding: 1
"""

Viewed = Callable[..., SideBySide]


@pytest.fixture(scope="module")
def backends() -> list[Backend]:
    return discovery.discover()


@pytest.fixture(scope="module")
def viewed(backends: list[Backend]) -> Iterator[Viewed]:
    """A case side by side, on all targets or on those whose name has a text in it."""
    interpreters = discovery.interpreters(backends)
    everything = [target for backend in backends for target in backend.targets]

    def view(case: Case | str, target: str = "") -> SideBySide:
        case = CASES[case] if isinstance(case, str) else case
        targets = [each for each in everything if target in str(each)]
        return show.side_by_side(case, speakers, targets, interpreters)

    with Speakers(backends) as speakers:
        yield view


@pytest.fixture
def hostile(tmp_path: Path) -> Case:
    file = tmp_path / "hostile.yaml"
    file.write_text(HOSTILE)
    return cases.load([file])[0]


def entry(view: SideBySide, api: str) -> Entry:
    return next(entry for entry in view.entries if entry.api == api)


@pytest.mark.parametrize("name", SAMPLE)
def test_every_api_has_code_or_a_reason(viewed: Viewed, name: str) -> None:
    view = viewed(name)
    assert len(view.entries) >= 10
    for found in view.entries:
        first = found.verdicts[0]
        assert bool(found.code) == (first.way != "none")
        assert first.reason or first.way == "native"
        assert found.layout or not found.code
        if found.code:
            compile(found.code, "<code>", "exec")
            compile(excerpts.abridged(found.code), "<abridged>", "exec")
            assert rendering.essence(found)
        if found.obvious is not None:
            compile(found.obvious.code, "<obvious>", "exec")
            unfolded = re.sub(r"(?<=\()\s+|,?\s+(?=\))", "", " ".join(found.obvious.code.split()))
            assert found.obvious.line in unfolded
            assert found.obvious.gives
    fields = json.loads(rendering.as_json(view))
    assert fields["output"] == list(CASES[name].request.output_shape)
    assert [axis["output"] for axis in fields["axes"]] == fields["output"][2:]
    for form in ("md", "html"):
        text = rendering.FORMATS[form](view)
        assert all(found.api in text.replace("<wbr>", "") for found in view.entries)


def test_keras_needs_a_recipe_for_uneven_padding_and_says_what_valid_gives(viewed: Viewed) -> None:
    keras = entry(viewed(UNEVEN), "keras.layers")
    assert keras.way == "recipe"
    assert keras.verdicts[0].reason == "keras.layers have only 'valid' and 'same' padding"
    assert "x = keras.layers.ZeroPadding2D((0, 1))(x)" in keras.code
    assert keras.obvious is not None
    assert keras.obvious.origin == "case"
    assert rendering.said(keras.obvious) == (
        "padding 'valid' instead of (0, 1) → output [2, 1] instead of [2, 2]"
    )
    assert keras.obvious.line == "keras.layers.Conv2D(1, (3, 5), strides=(3, 4), use_bias=False)"


def test_the_same_is_found_where_the_case_names_no_spelling(viewed: Viewed) -> None:
    case = CASES[UNEVEN]
    bare = dataclasses.replace(case, spellings={})
    obvious = entry(viewed(bare, "keras"), "keras.layers").obvious
    assert obvious is not None
    assert (obvious.origin, obvious.effect) == ("nearest", "wrong-shape")
    assert obvious.gives == "output [2, 1] instead of [2, 2]"


@pytest.mark.parametrize(
    ("name", "api", "said"),
    [
        # 'same' at stride 2 is not padding 1, nor the other way round
        ("tutorials/padding-and-stride/stride-keeps-half", "keras.layers",
         "padding 'same' = (0+1, 0+1) instead of (1, 1) → the same shape, 16 of 16 values differ"),
        ("edge/same-padding/stride-2-2d", "mxnet.gluon",
         "padding (1, 1) instead of 'same' = (0+1, 0+1) → the same shape, 64 of 64 values differ"),
        # TensorFlow's alignment of a transposed convolution
        ("tutorials/transposed/output-padding-extends-the-end", "tf.nn",
         "padding 'same' = (0+1) instead of (1), output padding 0 instead of 1 → the same shape, "
         "6 of 6 values differ"),
        ("tutorials/padding-and-stride/mirror", "jax.lax",
         "padding mode zeros instead of reflect → the same shape, 8 of 9 values differ"),
        # zeros by hand win over negative numbers, and do no harm to others
        ("tutorials/pooling/padding-and-stride-negative", "flax.linen",
         "padding (1+0, 1+0) instead of (1, 1), padded by hand with 0 → the same shape, "
         "3 of 4 values differ"),
        ("tutorials/pooling/padding-and-stride", "flax.linen",
         "padding (1+0, 1+0) instead of (1, 1), padded by hand with 0 → the same values on these "
         "data"),
        ("tutorials/padding-and-stride/keeps-size", "flax.linen",
         "padding 'same' = (1, 1) → exactly the same"),
    ],
)  # fmt: skip
def test_what_the_obvious_spelling_gives(viewed: Viewed, name: str, api: str, said: str) -> None:
    obvious = entry(viewed(name), api).obvious
    assert obvious is not None
    assert rendering.said(obvious) == said


def test_other_words_for_the_same_are_native(viewed: Viewed) -> None:
    keras = entry(viewed("tutorials/padding-and-stride/keeps-size"), "keras.layers")
    assert keras.way == "native"
    assert 'padding="same"' in keras.code
    assert keras.verdicts[0].reason.endswith("padding 'same' = (1, 1) says the same here")
    assert keras.obvious is None


def test_a_native_form_that_is_known_to_fail_is_not_chosen(viewed: Viewed) -> None:
    torch = entry(viewed("edge/same-padding/stride-2-2d"), "torch.nn.functional")
    assert (torch.way, torch.verdicts[0].known) == ("recipe", "same-padding-refuses-strides")
    assert torch.obvious is not None
    assert (torch.obvious.origin, torch.obvious.effect) == ("native", "rejected")
    assert torch.obvious.line == 'F.conv2d(x, w, stride=2, padding="same")'


def test_a_mode_that_needs_more_is_told(viewed: Viewed) -> None:
    name = "tutorials/arguments/groups"
    tensorflow = entry(viewed(name), "tf.nn")
    assert tensorflow.way == "native"
    assert [(v.mode, v.way, v.known) for v in tensorflow.others] == [
        ("onednn-off", "recipe", "grouped-gradients-need-onednn")
    ]
    without = entry(viewed(name, "tf.nn/onednn-off"), "tf.nn")
    assert without.way == "recipe"
    assert "tf.split" in without.code


def test_what_no_api_form_can_do_has_no_code(viewed: Viewed) -> None:
    view = viewed("edge/window-larger-than-input/max-pool-3-on-2x2")
    tensorflow = entry(view, "tf.nn")
    assert (tensorflow.way, tensorflow.code) == ("none", "")
    assert tensorflow.obvious is not None
    assert tensorflow.obvious.gives == "the process dies"
    assert entry(view, "jax.lax").way == "native"


def test_a_missing_backend_is_shown_at_the_version_that_is_pinned(backends: list[Backend]) -> None:
    torch = next(backend for backend in backends if backend.name == "torch")
    line = next(line for line in torch.requirements.read_text().splitlines() if "torch" in line)
    assert show.pinned(torch) == line.partition("==")[2]
    missing = {"torch": discovery.Interpreter("torch", None, "", problem="not here")}
    with Speakers([torch]) as speakers:
        view = show.side_by_side(CASES[UNEVEN], speakers, torch.targets, missing)
    assert not view.entries[0].installed
    assert rendering.framework(view.entries[0]) == f"torch {show.pinned(torch)} (pinned)"


def test_markdown_is_tables_and_fenced_code(viewed: Viewed) -> None:
    text = rendering.markdown(viewed(UNEVEN))
    lines = text.splitlines()
    assert lines[0] == f"# {UNEVEN}"
    assert (
        "| width | 8 | 1 | 1 | 5 | 4 | 2 | ⌊(8 + 1 + 1 − 5) / 4⌋ + 1 = ⌊5 / 4⌋ + 1 = 2 |" in lines
    )
    assert "Source: <https://d2l.ai/chapter_convolutional-neural-networks/" in text
    assert "## keras.layers" in lines
    assert "```python\nF.conv2d" not in text
    assert text.count("```") % 2 == 0
    widths = {line.count("|") for line in lines if line.startswith("| ") and "API" in line}
    assert widths == {5}


def test_json_has_the_documented_keys(viewed: Viewed) -> None:
    fields = json.loads(rendering.as_json(viewed(UNEVEN)))
    assert fields["version"] == 1
    assert list(fields) == [
        "version", "case", "words", "layout", "source", "note", "request", "rules", "axes",
        "output", "chain", "apis",
    ]  # fmt: skip
    assert set(fields["axes"][0]) == {
        "name", "size", "pads", "window", "stride", "dilation", "output_padding", "output", "steps",
    }  # fmt: skip
    assert set(fields["axes"][0]["steps"][0]) == {"name", "formulas", "value", "remark"}
    for api in fields["apis"]:
        assert set(api) == {
            "backend", "version", "installed", "api", "layout", "way", "code", "line", "modes",
            "verified", "obvious",
        }  # fmt: skip
        assert all(set(mode) == {"mode", "way", "reason", "known"} for mode in api["modes"])
        if api["obvious"]:
            assert set(api["obvious"]) == {"origin", "change", "effect", "gives", "code", "line"}
    documented = rendering.__doc__ or ""
    for key in {*fields, *fields["axes"][0], *fields["apis"][0]}:
        assert f"``{key}``" in documented


def test_the_page_escapes_what_a_case_says(viewed: Viewed, hostile: Case) -> None:
    text = rendering.page(viewed(hostile, "numpy"))
    assert "<script" not in text
    assert html.escape("<script>alert('n')</script>", quote=False) in html.unescape(
        text.replace("&lt;", "&amp;lt;").replace("&gt;", "&amp;gt;")
    )
    assert "href" not in text.partition("Source:")[2].partition("</p>")[0]
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_markdown_escapes_what_a_case_says(viewed: Viewed, hostile: Case) -> None:
    text = rendering.markdown(viewed(hostile, "numpy"))
    note = next(line for line in text.splitlines() if "alert('n')" in line)
    assert r"\<script>" in note
    assert r"\| \`code\`" in note
    assert r"[x\](https" in note
    assert "\x1b" not in text
    assert "Source: javascript:" in text
    assert "<javascript" not in text


def test_a_fence_is_longer_than_any_in_the_code() -> None:
    assert rendering._fenced("a = '```'").startswith("````python")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--format", "pdf"), "'pdf' is not one of 'text', 'md', 'html', 'json'"),
        (("--out", "no/such/folder/x.md"), "no/such/folder/x.md cannot be written: No such file"),
        (("--target", "nothing"), "no target has 'nothing' in its name"),
        (("--backend", "nothing"), "no backend 'nothing'"),
        (("--python", "numpy"), "'numpy' is not NAME=PATH"),
    ],
)
def test_bad_input_is_one_sentence(
    conformance: Command, arguments: tuple[str, ...], part: str
) -> None:
    done = conformance("show", "uneven", *arguments, cwd=ROOT)
    assert done.returncode == 2
    assert part in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "name", ["nothing", "uneven/", "", "no.yaml::a", "../x", "\udcff", "[red]"]
)
def test_a_bad_case_is_one_sentence(conformance: Command, name: str) -> None:
    done = conformance("show", name, "--backend", "numpy", cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


def test_an_adapter_that_fails_is_one_sentence(conformance: Command, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    source = (HERE / "backends" / "misbehaving" / "adapter.py").read_text()
    source = source.replace('name = "misbehaving"', 'name = "broken"')
    source += "\n\ndef _fail(self, request):\n    raise RuntimeError('not today')\n"
    source += "\n\nfor api in adapter.apis:\n    type(api).lower = _fail\n"
    (folder / "adapter.py").write_text(source)
    arguments = ["--backend-dir", folder, "--backend", "broken"]
    done = conformance("show", "uneven", *arguments, cwd=ROOT)
    assert done.returncode == 2
    assert "fails: RuntimeError: not today" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_verify_runs_the_code(conformance: Command, tmp_path: Path) -> None:
    out = tmp_path / "uneven.json"
    arguments = ["--backend", "numpy", "--verify", "--format", "json", "--out", out]
    done = conformance("show", UNEVEN, *arguments, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    (api,) = json.loads(out.read_text(encoding="utf-8"))["apis"]
    assert api["verified"] == {"text": f"exact on numpy {api['version']}", "right": True}


def test_verify_tells_code_that_is_not_right(conformance: Command) -> None:
    arguments = ["--backend-dir", "tests/backends/misbehaving", "--backend", "misbehaving"]
    case = "tests/data/three.yaml::first"
    done = conformance("show", case, *arguments, "--target", ".raises/", "--verify", cwd=ROOT)
    assert done.returncode == 1
    assert "rejected on misbehaving" in done.stdout
    assert "RuntimeError: no thank you" in done.stdout


@pytest.mark.backend("torch", "tensorflow")
def test_the_chosen_code_gives_exactly_the_result(backends: list[Backend], viewed: Viewed) -> None:
    used = {b.name: b for b in backends if b.name in ("numpy", "torch", "tensorflow")}
    with Workers(used, discovery.interpreters(list(used.values()))) as workers:
        for name in (
            UNEVEN,
            "tutorials/padding-and-stride/keeps-size",
            "tutorials/pooling/padding-and-stride-negative",
            "tutorials/transposed/output-padding-extends-the-end",
            "edge/same-padding/stride-2-2d",
        ):
            view = viewed(name)
            kept = tuple(found for found in view.entries if found.backend in used)
            checked = show.verified(dataclasses.replace(view, entries=kept), CASES[name], workers)
            assert len(checked.entries) == 5
            for found in checked.entries:
                assert found.right, f"{name} on {found.api}: {found.verified}"


@pytest.mark.backend("torch", "jax", "flax", "tensorflow")
def test_other_words_give_exactly_the_result(backends: list[Backend], viewed: Viewed) -> None:
    """The tests of the cases run the case's own words; here run all others that are shown."""
    used = {b.name: b for b in backends if b.name != "mxnet"}
    counted = 0
    with Workers(used, discovery.interpreters(list(used.values()))) as workers:
        for case in CASES.values():
            large = math.prod(case.request.input_shape) > 10_000
            # What frameworks make of 0 · inf is in their registries, by the words that ran.
            finite = all(np.isfinite(array).all() for array in case.arrays())
            if large or not finite or not spelling.rewordings(case):
                continue
            view = viewed(case)
            kept = [e for e in view.entries if e.backend in used and e.request != case.request]
            checked = dataclasses.replace(view, entries=tuple(kept))
            for found in show.verified(checked, case, workers).entries:
                counted += 1
                assert found.right, f"{case.id} on {found.api}: {found.verified}"
    assert counted > 50
