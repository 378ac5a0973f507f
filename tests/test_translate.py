"""From a call to its request, and to other frameworks' code."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from conformance import cli, discovery
from conformance.adapter import Adapter, Api, Program
from conformance.discovery import Backend, UsageError
from conformance.request import ConvTranspose, Padding, Pool, PoolOp, Request
from conformance.translation import translate
from conformance.translation.calls import CallError
from conformance.translation.reading import Place, Reading, Shapes
from tests.as_written import APIS, assert_clean, operator_call, outcome
from tests.profiles import PROFILE
from tests.strategies import requests
from tests.support import HERE, Command

CALL = "nn.Conv2d(3, 8, (3,5), stride=(3,4), padding=(0,1))"
REFUSED = (
    "'lax.add' gives sums",
    "MXNet keeps a last window",
    "Keras refuses strides together with dilations",
    "Keras takes numbers from 0 up to the stride",
    "'pad' is a whole number from 0 on",
    "'padding' is a whole number from 0 on",
    "'padding' is a word in quotes, a whole number from 0 on",
    "tf.nn.pool has no 'SAME' with dilations",
    "'output_shape' is the sizes of all axes",
    "it belongs to --input",
    "its indices count the channels",
    "powers of odd order keep their signs",
    "PyTorch pools with at most half of the window",
    "PyTorch refuses 'same' at strides above 1",
    "PyTorch takes powers of x",
    "PyTorch scales the norm",
    "its windows depend on the input's size",
    "its window is the whole input",
    "'global_pool' has no counterpart",
    "'p_value' has no counterpart",
    "it gives indices as well",
)


def normal(r: Request) -> Request:
    """The request without what it says in one way and means in several."""
    pairs = r.padding.pairs
    if isinstance(r, ConvTranspose):
        ends = zip(pairs, r.output_padding)
        pairs = tuple((low, high - extra) for (low, high), extra in ends)
        r = dataclasses.replace(r, output_padding=(0,) * r.rank, sized=False)
    padding = Padding(pairs, mode="zeros" if r.padding.none else r.padding.mode)
    dilation = tuple(d if k > 1 else 1 for d, k in zip(r.dilation, r.window))
    r = dataclasses.replace(r, padding=padding, dilation=dilation)
    if isinstance(r, Pool) and r.output_size is not None:
        op: PoolOp = "adaptive_max_pool" if r.kind == "max" else "adaptive_avg_pool"
        return dataclasses.replace(r, op=op)
    if isinstance(r, Pool):
        floor = dataclasses.replace(r, ceil_mode=False)
        r = floor if floor.output_shape == r.output_shape else r
        counted = r.count_include_pad or r.padding.none or r.divisor is not None
        r = dataclasses.replace(r, count_include_pad=counted)
    return r


@st.composite
def plain_requests(draw: st.DrawFn) -> Request:
    """Requests that most APIs can say: often the same padding on both sides."""
    r = draw(requests(empty=False))
    if isinstance(r, Pool):
        r = dataclasses.replace(r, padding_value=None)
    if isinstance(r, ConvTranspose):
        r = dataclasses.replace(r, sized=False)  # a layer is told the size where it is called
    if r.padding.word == "explicit" and draw(st.booleans()):
        pairs = tuple((max(pair), max(pair)) for pair in r.padding.pairs)
        padding = Padding(pairs, "explicit", r.padding.mode)
        other: Request = dataclasses.replace(r, padding=padding)
        return other if min(other.output_shape) > 0 else r
    return r


@PROFILE
@given(plain_requests())
def test_what_an_api_writes_is_read_back(r: Request) -> None:
    for adapter, api in APIS.values():
        program = api.lower(r).native if r.dtype in adapter.dtypes else None
        if isinstance(program, Program):
            _assert_read_back(program.source, adapter, api, r)


def _assert_read_back(source: str, adapter: Adapter, api: Api, r: Request) -> None:
    """The request again, or a refusal where the framework itself refuses what is written."""
    text = operator_call(source, api)
    if not text:
        # MXNet's adaptive average stands in another namespace than what is read.
        assert r.op == "adaptive_avg_pool", source
        return
    kernel = None if isinstance(r, Pool) else r.kernel_shape
    result = outcome(text, adapter, Shapes(r.input_shape, kernel))
    if isinstance(result, str):
        assert any(part in result for part in REFUSED), f"{text}: {result}"
        return
    wanted = dataclasses.replace(r, dtype=result.dtype)
    if api.name in ("jax.lax", "tf.nn") and not isinstance(wanted, Pool):
        wanted = dataclasses.replace(wanted, bias=False)
    assert normal(result) == normal(wanted), text
    typed = api.name in ("torch.nn", "flax.linen", "flax.nnx") and not isinstance(r, Pool)
    assert not typed or result.dtype == r.dtype, text


def test_a_meaningless_request_names_the_argument() -> None:
    fields = {"op": "conv", "input": {"shape": [1, 3, 8]}, "kernel": {"shape": [1, 4, 3]}}
    reading = Reading("torch.nn", fields, {"kernel": Place("kernel_size", 9)})
    with pytest.raises(CallError) as caught:
        translate.case_of("f()", reading)
    assert caught.value.column == 9
    assert caught.value.message.startswith("kernel_size: it takes 4 input channels")


@pytest.fixture(scope="module")
def backends() -> list[Backend]:
    return discovery.discover()


@pytest.mark.parametrize(
    ("word", "apis"),
    [
        ("keras_torch", ["keras.layers"]),
        ("tensorflow/keras.layers", ["keras.layers"]),
        ("torch", ["torch.nn.functional", "torch.nn"]),
        ("torch.nn", ["torch.nn"]),
        ("functional", ["torch.nn.functional"]),
        ("flax", ["flax.linen", "flax.nnx"]),
        ("nnx", ["flax.nnx"]),
        ("tf", ["tf.nn"]),
        ("tensorflow", ["tf.nn", "keras.layers"]),
        ("jax", ["jax.lax"]),
        ("gluon", ["mxnet.gluon"]),
        ("mx", ["mxnet.npx", "mxnet.gluon"]),
    ],
)
def test_backends_and_apis_have_short_names(
    backends: list[Backend], word: str, apis: list[str]
) -> None:
    [(_, found)] = translate.named(word, backends, "--to")
    assert list(found) == apis


@pytest.mark.parametrize("word", ["keras", "Keras", "keras.layers", "layers"])
def test_an_api_of_several_backends_is_that_of_all(backends: list[Backend], word: str) -> None:
    found = translate.named(word, backends, "--to")
    assert [backend.name for backend, _ in found] == ["keras_jax", "keras_torch", "tensorflow"]
    assert {apis for _, apis in found} == {("keras.layers",)}


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("nn", "--to 'nn' may be tf.nn, torch.nn.functional, torch.nn; write one of these"),
        ("paddle", "--to 'paddle': no such backend or API; there are flax.linen, "),
        ("", "--to '': no such backend or API"),
        ("x\udc80\n", "no such backend or API"),
    ],
)
def test_other_names_are_refused(backends: list[Backend], word: str, part: str) -> None:
    with pytest.raises(UsageError) as caught:
        translate.named(word, backends, "--to")
    assert part in str(caught.value)
    assert_clean(str(caught.value))


def test_shapes_are_written_with_commas() -> None:
    assert translate.shape("1,3, 8,8", "--input") == [1, 3, 8, 8]
    assert translate.shape("(8, 3, 3)", "--kernel") == [8, 3, 3]
    for text in ("", "1,,2", "a,b", "1,-2", "9" * 30, "1\udc80"):
        with pytest.raises(UsageError) as caught:
            translate.shape(text, "--input")
        assert_clean(str(caught.value))


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(cli.main, ["translate", *map(str, arguments)])


def test_the_example_prints_request_and_code() -> None:
    done = invoke("--from", "torch", CALL, "--to", "flax,keras")
    assert done.exit_code == 0, done.output
    for part in (
        f"{CALL}  (torch.nn)",
        "input [1, 3, 32, 32], kernel [8, 3, 3, 5]",
        "--input says another",
        "flax.linen: native",
        "nn.Conv(8, (3, 5), strides=(3, 4), padding=(0, 1))",
        "flax.nnx: native",
        "keras.layers: recipe",
        "keras.layers have only 'valid' and 'same' padding",
        "ZeroPadding2D((0, 1))",
        "--verify runs it",
    ):
        assert part in done.output
    assert "jax.lax" not in done.output


def test_code_that_backends_share_is_printed_once() -> None:
    shown = invoke("--from", "torch", CALL, "--to", "keras").output
    assert shown.count("import keras") == 1
    [line] = [line for line in shown.splitlines() if line.startswith("keras.layers: ")]
    for name in ("keras_jax 3.", "keras_torch 3.", "tensorflow 2."):
        assert name in line
    told = json.loads(invoke("--from", "torch", CALL, "--to", "keras", "--format", "json").output)
    assert [entry["backend"] for entry in told["targets"]] == [
        "keras_jax",
        "keras_torch",
        "tensorflow",
    ]
    assert len({entry["code"] for entry in told["targets"]}) == 1


def test_shapes_that_are_given_are_used() -> None:
    arguments = ("--input", "2,4,9,9", "--kernel", "6,4,3,3", "--format", "json")
    done = invoke("--from", "torch", "F.conv2d(x, w, stride=2)", "--to", "jax", *arguments)
    told = json.loads(done.output)
    assert told["request"]["input_shape"] == [2, 4, 9, 9]
    assert told["request"]["kernel_shape"] == [6, 4, 3, 3]
    assert (told["source"]["api"], told["notes"]) == ("torch.nn.functional", [])
    [target] = told["targets"]
    assert (target["api"], target["way"], target["verified"]) == ("jax.lax", "native", None)
    assert "window_strides=(2, 2)" in target["code"]


def test_a_known_failure_of_the_native_form_is_why_a_recipe_is_taken() -> None:
    call = "lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 3), None, 'VALID', None, (1, 1, 2))"
    told = json.loads(invoke("--from", "jax", call, "--to", "lax", "--format", "json").output)
    [target] = told["targets"]
    assert (target["way"], target["known"]) == ("recipe", "dilated-max-pool-has-no-vjp")
    shown = invoke("--from", "jax", call, "--to", "torch").output
    assert "jax.lax itself: lax.reduce_window computes a dilated maximum" in shown
    assert "(dilated-max-pool-has-no-vjp)" in shown


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("--from", "torch", "nn.Conv2d(3, 8, k)", "--to", "flax"),
            "--from torch: 'nn.Conv2d(3, 8, k)': column 17: 'k' is a name; write its value",
        ),
        (("--from", "numpy", CALL, "--to", "flax"), "numpy cannot read calls yet"),
        (("--from", "nn", CALL, "--to", "flax"), "--from 'nn' may be"),
        (("--from", "torch", CALL, "--to", "flux"), "--to 'flux': no such backend or API"),
        (("--from", "torch", CALL, "--to", " , "), "--to names no backend or API"),
        (("--from", "torch", CALL, "--to", "jax", "--input", "x"), "--input 'x': whole numbers"),
        (
            ("--from", "torch", CALL, "--to", "jax", "--input", "1,3,8"),
            "--input for nn.Conv2d is N,C,H,W, not 1,3,8",
        ),
        (
            ("--from", "torch", "nn.Conv2d(3, 8, 3, stride=(1, 2, 3))", "--to", "jax"),
            "column 20: stride: 2 entries are needed, one per spatial axis",
        ),
        (
            ("--from", "torch", "nn.Conv2d(3, 8, 300000)", "--to", "jax"),
            "column 17: kernel_size: [8, 3, 300000, 300000] has more than 67,108,864 elements",
        ),
    ],
)
def test_mistakes_get_one_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    done = invoke(*arguments)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert sentence in done.stderr
    assert_clean(done.stderr.removesuffix("\n"))


def test_a_backend_outside_of_the_suite_reads_its_own_calls(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    adapter = (HERE / "backends" / "misbehaving" / "adapter.py").read_text(encoding="utf-8")
    adapter = adapter.replace('name = "misbehaving"', 'name = "mine"')
    adapter += (
        "\n\nfrom conformance.translation.signatures import KernelSizes, Stride, Table\n\n\n"
        "def slide(draft, window: KernelSizes, step: Stride = 2):\n"
        "    draft.settle(len(window))\n"
        "    return draft.kernel('conv', window=window, features=1, stride=step)\n\n\n"
        "adapter.apis[0].calls = Table(('m',), {'slide': slide})\n"
    )
    (folder / "adapter.py").write_text(adapter, encoding="utf-8")
    options = ("--from", "mine", "--to", "torch", "--backend-dir", folder)
    done = invoke("m.slide((3, 2))", *options)
    assert done.exit_code == 0, done.output
    assert "F.conv2d(x, w, stride=2)" in done.output
    done = invoke("m.slide((3, 2), stop=2)", *options)
    assert "m.slide has no argument 'stop'; did you mean 'step'?" in done.stderr


def test_a_missing_backend_is_not_verified(
    monkeypatch: pytest.MonkeyPatch, backends: list[Backend]
) -> None:
    [gone] = [backend for backend in backends if backend.name == "numpy"]
    found = {"numpy": discovery.Interpreter("numpy", None, "", problem="it is not there")}
    monkeypatch.setattr(discovery, "discover", lambda *_: [gone, *_torch(backends)])
    monkeypatch.setattr(discovery, "interpreters", lambda *_: {**found, **_nothing(backends)})
    done = invoke("--from", "torch", "nn.Conv1d(1, 1, 2)", "--to", "numpy", "--verify")
    assert done.exit_code == 0, done.output
    shown = " ".join(done.output.split())
    assert "not verified: it is not there; tox -e numpy --notest, or pip install" in shown


def _torch(backends: list[Backend]) -> list[Backend]:
    return [backend for backend in backends if backend.name == "torch"]


def _nothing(backends: list[Backend]) -> dict[str, discovery.Interpreter]:
    return {
        backend.name: discovery.Interpreter(backend.name, None, "", problem="it is not there")
        for backend in _torch(backends)
    }


@pytest.mark.backend("torch", "flax", "keras_jax", "keras_torch", "tensorflow")
@pytest.mark.xdist_group("as-written")
def test_the_example_is_verified_on_the_frameworks(conformance: Command) -> None:
    done = conformance("translate", "--from", "torch", CALL, "--to", "flax,keras", "--verify")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("torch", "flax", "keras_jax", "keras_torch", "tensorflow"):
        assert f"verified on {name} " in done.stdout
    assert done.stdout.count(": output and gradients exact") == 6


@pytest.mark.backend("torch", "mxnet", "jax")
@pytest.mark.xdist_group("as-written")
def test_a_dilated_pooling_is_verified_by_recipes(conformance: Command) -> None:
    call = "nn.MaxPool2d(3, stride=2, padding=1, dilation=2, ceil_mode=True)"
    options = ("--to", "jax,npx", "--verify", "--format", "json", "--input", "1,2,9,8")
    done = conformance("translate", "--from", "torch.nn", call, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert [entry["way"] for entry in told["targets"]] == ["recipe", "recipe"]
    assert all(entry["verified"]["right"] for entry in (told["source"], *told["targets"]))


@pytest.mark.backend("torch", "mxnet")
@pytest.mark.xdist_group("as-written")
def test_a_recipe_takes_the_place_of_a_native_form_that_fails(conformance: Command) -> None:
    call = "nn.MaxPool2d(2, stride=4, padding=1, ceil_mode=True)"
    options = ("--to", "npx", "--verify", "--format", "json", "--input", "1,1,3,3")
    done = conformance("translate", "--from", "torch", call, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    [target] = json.loads(done.stdout)["targets"]
    assert target["way"] == "recipe"
    assert "wrong-shape" in target["reason"] or target["known"]
    assert target["verified"]["right"]
