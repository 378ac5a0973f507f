"""One framework on several engines: backends that share an API, and how they are told apart."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Sequence

import pytest
from rich.console import Console

from conformance import discovery, selection, summary
from conformance.discovery import Backend, Interpreter, Target
from conformance.records import Record
from conformance.side_by_side import merging, rendering, show
from conformance.side_by_side.lowerings import Speakers
from conformance.side_by_side.show import SideBySide

KERAS = ("keras_jax", "keras_torch", "tensorflow")
UNEVEN = "tutorials/padding-and-stride/uneven"
DOUBLE = "conv/dtypes/float64-asymmetric-padding"


@pytest.fixture(scope="module")
def backends() -> list[Backend]:
    return discovery.discover(names=("torch", "jax", *KERAS))


@pytest.fixture(scope="module")
def speakers(backends: list[Backend]) -> Iterator[Speakers]:
    with Speakers(backend for backend in backends if backend.name in KERAS) as started:
        yield started


def side_by_side(speakers: Speakers, case: str) -> SideBySide:
    targets = [target for backend in speakers.backends for target in backend.targets]
    nowhere = {
        name: Interpreter(name, None, "", problem="it is not there")
        for name in (backend.name for backend in speakers.backends)
    }
    return show.side_by_side(selection.named(case), speakers, targets, nowhere)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("torch", {"torch"}),
        ("jax", {"jax"}),
        ("jax.lax", {"jax"}),
        ("torch.nn", {"torch"}),
        ("keras_torch", {"keras_torch"}),
        ("keras.layers", {*KERAS}),
        ("keras", {*KERAS}),
        ("tensorflow/keras.layers", {"tensorflow"}),
        ("tensorflow/keras", {"tensorflow"}),
        ("layers/eager", {*KERAS}),
    ],
)
def test_a_whole_name_comes_before_a_part_of_one(
    backends: list[Backend], text: str, names: set[str]
) -> None:
    found = discovery.matching(backends, text)
    assert {target.backend for target in found} == names
    if text in ("jax.lax", "torch.nn"):
        assert {target.api for target in found} == {text}


def test_the_short_name_of_a_shared_api_is_that_of_one_target(backends: list[Backend]) -> None:
    told = {backend.short(target) for backend in backends for target in backend.targets}
    assert {"tensorflow/keras.layers", "keras_torch/keras.layers", "keras_jax/keras.layers"} < told
    assert {"tf.nn", "torch.nn", "jax.lax", "tensorflow/keras.layers/function"} < told
    for backend in backends:
        for target in backend.targets:
            assert discovery.matching(backends, backend.short(target))[0] == target


def test_a_backend_is_where_its_engine_is_too(backends: list[Backend]) -> None:
    keras = next(backend for backend in backends if backend.name == "keras_torch")
    assert keras.modules == ("keras", "torch")
    elsewhere = dataclasses.replace(keras, name="elsewhere", modules=("json", "no_such_engine"))
    for given in ({}, {"elsewhere": sys.executable}):
        (found,) = discovery.interpreters([elsewhere], given).values()
        assert found.path is None
        assert found.problem.startswith("no_such_engine is not installed")
    nothing = dataclasses.replace(elsewhere, modules=("no_such_layer", "no_such_engine"))
    (found,) = discovery.interpreters([nothing]).values()
    assert found.problem.startswith("no_such_layer and no_such_engine are not installed")
    both = dataclasses.replace(elsewhere, modules=("json", "csv"))
    assert discovery.interpreters([both])["elsewhere"].path == sys.executable


def test_the_engine_is_chosen_before_keras_is_imported(backends: list[Backend]) -> None:
    engines = {each.name: each.environment.get("KERAS_BACKEND") for each in backends}
    assert {name: engines[name] for name in KERAS} == {
        "keras_jax": "jax",
        "keras_torch": "torch",
        "tensorflow": "tensorflow",
    }


def rows(targets: Sequence[Target]) -> list[str]:
    records = [
        Record("a/b/c", each.backend, each.api, each.mode, "native", "forward", "pass", "pass")
        for each in targets
    ]
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(summary.table(records))
    return [line.split()[0] for line in console.export_text().splitlines()[1:]]


def test_the_summary_tells_backends_with_one_api_apart() -> None:
    targets = [Target(name, "keras.layers", "eager") for name in KERAS]
    targets.append(Target("tensorflow", "tf.nn", "eager"))
    assert rows(targets) == [*(f"{name}/keras.layers" for name in KERAS), "tf.nn"]
    assert rows(targets[-2:]) == ["keras.layers", "tf.nn"]


def test_the_same_code_is_shown_once_with_all_versions(speakers: Speakers) -> None:
    view = side_by_side(speakers, UNEVEN)
    keras = [entry for entry in view.entries if entry.api == "keras.layers"]
    assert [entry.backend for entry in keras] == [*KERAS]
    (one,) = merging.merged(keras)
    assert one.api == "keras.layers"
    assert one.code == keras[0].code
    told = ", ".join(rendering.about_code(one))
    assert told.startswith(rendering.framework(one))
    for entry in keras:
        assert f"{entry.backend} {entry.version} (pinned)" in told


def test_code_that_differs_names_its_backends(speakers: Speakers) -> None:
    view = side_by_side(speakers, DOUBLE)
    merged = merging.merged(view.entries)
    keras = {entry.api: entry.code for entry in merged if entry.api.startswith("keras.layers")}
    assert [*keras] == ["keras.layers (keras_jax)", "keras.layers (keras_torch, tensorflow)"]
    wide = 'jax.config.update("jax_enable_x64", True)'
    assert [wide in code for code in keras.values()] == [True, False]


def test_what_is_right_on_one_backend_only_is_not_shown_as_one(speakers: Speakers) -> None:
    first, second, third = side_by_side(speakers, UNEVEN).entries[:3]
    right = dataclasses.replace(first, verified="exact", right=True)
    wrong = dataclasses.replace(second, api=first.api, verified="wrong-value", right=False)
    assert len(merging.merged([right, wrong, third])) >= 2
