"""Calls as text: what is parsed and read, what is refused and how."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.request import ConvTranspose, Pool
from conformance.translation import signatures
from conformance.translation.calls import CallError, Symbol, flat, parse
from conformance.translation.reading import Shapes
from tests.as_written import APIS, WRITTEN, adapter_of, assert_clean, outcome, resolved
from tests.profiles import PROFILE


def test_literals_are_read_and_nothing_else_is() -> None:
    call = parse(
        "a.b(1, -2.5, 'x', None, True, (1, [2, 3]), float('-inf'), -math.inf, w, f(x), p=+3)"
    )
    assert call.name == "a.b"
    values = [argument.value for argument in call.arguments]
    assert values[:8] == [1, -2.5, "x", None, True, (1, (2, 3)), -math.inf, -math.inf]
    assert values[8:] == [Symbol("w", 70, True), Symbol("f(x)", 73, False)]
    assert call.options["p"].value == 3


def test_columns_count_characters_of_the_call_on_one_line() -> None:
    text = "  nn.Conv2d(  # the first\n    'é', 8,\n    k,\n)"
    assert flat(text) == "nn.Conv2d( 'é', 8, k, )"
    [_, _, last] = parse(text).arguments
    assert last.value == Symbol("k", 20, True)
    assert flat(text)[last.column - 1] == "k"


def test_of_a_layer_that_is_applied_the_layer_is_read() -> None:
    assert parse("nn.Conv2d(3, 8, 3)(x)") == parse("nn.Conv2d(3, 8, 3)")


@pytest.mark.parametrize(
    ("text", "column", "part"),
    [
        ("", None, "there is no call"),
        ("x", 1, "write a call"),
        ("y = f(x)", 1, "right of '='"),
        ("f(x", 2, "was never closed"),
        ("f(x) f", 6, "no call in Python"),
        ("f()()(1)", 1, "a function's name"),
        ("f(x)[0]", 1, "write a call"),
        ("(lambda: 0)()", 2, "a function's name"),
        ("f(*x)", 3, "instead of '*'"),
        ("f(a=(1, *x))", 9, "instead of '*'"),
        ("f(**x)", 3, "instead of '**'"),
        ("f(a=1, a=2)", 8, "'a' is given twice"),
        ("f(99999999999)", 3, "at most 2147483648"),
        ("f(0x" + "f" * 1900 + ")", 3, "at most 2147483648"),
        ("f(" + "9" * 3000 + ")", None, "at most 2,000 characters"),
        ("f('\0')", None, "no call in Python"),
        ("f('\udc80')", None, "odd characters"),
        ("f(" * 300, None, "no call in Python"),
        ("f(" + "-" * 1900 + "1)", None, "nested too deeply"),
    ],
)
def test_malformed_texts_get_one_sentence(text: str, column: int | None, part: str) -> None:
    with pytest.raises(CallError) as caught:
        parse(text)
    assert part in caught.value.message
    assert column is None or caught.value.column == column
    assert_clean(caught.value.message)


SHAPES = st.one_of(st.none(), st.lists(st.integers(0, 9), max_size=6).map(tuple))
ATOMS = st.one_of(
    st.integers(-3, 9),
    st.sampled_from([0, 1, 2, 3, 2**31, -(2**31)]),
    st.booleans(),
    st.none(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(
        [
            "same",
            "valid",
            "SAME",
            "VALID",
            "full",
            "NHWC",
            "NCHW",
            "NWC",
            "circular",
            "CIRCULAR",
            "max",
            "AVG",
        ]
    ),
)
VALUES = st.recursive(ATOMS, lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=8)


@st.composite
def texts(draw: st.DrawFn) -> tuple[str, str]:
    """An API and a call: a known function with odd arguments, or one that is written oddly."""
    api, text, *_ = draw(st.sampled_from(WRITTEN))
    how = draw(st.sampled_from(("odd arguments", "one more", "odd text")))
    if how == "one more":
        own = APIS[api][1].calls
        reader = own.reader(parse(text).name.rpartition(".")[2])
        assert reader is not None
        option = draw(st.sampled_from([*signatures.parameters(reader)]))
        return api, f"{text[:-1]}, {option}={draw(VALUES)!r})"
    if how == "odd arguments":
        names = sorted(APIS[api][1].calls.names())
        name = draw(st.sampled_from(names))
        reader = APIS[api][1].calls.reader(name.rpartition(".")[2])
        assert reader is not None
        options = draw(st.lists(st.sampled_from([*signatures.parameters(reader)]), unique=True))
        words = [repr(draw(VALUES)) for _ in range(draw(st.integers(0, 4)))]
        words += [f"{option}={draw(VALUES)!r}" for option in options]
        return api, f"{name}({', '.join(draw(st.permutations(words)))})"
    at = draw(st.integers(0, len(text)))
    cut, put = draw(st.integers(0, 3)), draw(st.text(max_size=3))
    return api, text[:at] + put + text[at + cut :]


@PROFILE
@given(texts(), SHAPES, SHAPES)
def test_any_call_is_read_or_gets_one_sentence(
    written: tuple[str, str], data: tuple[int, ...] | None, kernel: tuple[int, ...] | None
) -> None:
    api, text = written
    result = outcome(text, adapter_of(api), Shapes(data, kernel))
    if isinstance(result, str):
        assert_clean(result)


@PROFILE
@given(st.text(), st.sampled_from(sorted(APIS)))
def test_any_text_is_read_or_gets_one_sentence(text: str, api: str) -> None:
    result = outcome(text, adapter_of(api), Shapes())
    assert isinstance(result, str)
    assert_clean(result)


@pytest.mark.parametrize(
    ("api", "text", "part"),
    [
        ("torch.nn", "nn.Conv2d(3, 8, k)", "'k' is a name; write its value"),
        ("torch.nn", "nn.Conv2d(3, 8, (3, 2 * k))", "'2 * k' is an expression"),
        ("torch.nn", "nn.Conv2d(3, 8)", "nn.Conv2d needs 'kernel_size'"),
        ("torch.nn", "nn.Conv2d(3, 8, 3, strides=2)", "did you mean 'stride'?"),
        ("torch.nn", "nn.Conv2D(3, 8, 3)", "did you mean nn.Conv2d?"),
        ("torch.nn", "nn.Conv2d(3, 8, '3')", "'kernel_size' is a whole number"),
        ("torch.nn", "nn.Conv2d(3, 8, 3, bias=1)", "'bias' is True or False, not 1"),
        ("torch.nn", "nn.Conv2d(3, 8, 3, stride=(1, 2, 3))", "stride: 2 entries are needed"),
        ("torch.nn", "nn.Conv2d(3, 8, 3, groups=2)", "groups: 2 groups do not divide 3"),
        ("torch.nn", "nn.Conv2d(3, 8, 3, padding=((0, 1), 2))", "not ((0, 1), 2)"),
        ("torch.nn", "nn.Conv2d(3, 8, 3, 2, 'same')", "refuses 'same' at strides above 1"),
        ("torch.nn", "nn.Conv2d(3, 8, 3, dtype=torch.bool)", "not torch.bool"),
        ("torch.nn", "nn.AdaptiveMaxPool2d(2, True)", "'return_indices' has no"),
        ("torch.nn", "nn.AvgPool2d(2, divisor_override=0)", "'divisor_override' is a whole"),
        ("torch.nn", "nn.AvgPool1d(2, divisor_override=3)", "no argument 'divisor_override'"),
        ("torch.nn", "nn.LPPool2d(3, 2)", "norm_type: PyTorch takes powers of x, not of |x|"),
        ("torch.nn", "nn.LPPool2d(0, 2)", "'norm_type' is a number above 0"),
        ("torch.nn", "nn.LPPool2d(2, 2, ceil_mode=True)", "ceil_mode: PyTorch scales the norm"),
        ("torch.nn", "nn.AdaptiveAvgPool2d((1, 2, 3))", "output_size: one number per spatial"),
        ("torch.nn", "nn.AdaptiveAvgPool2d(0)", "'output_size' is a whole number from 1 on"),
        ("torch.nn.functional", "F.conv2d(x, w)", "add --kernel O,I,H,W"),
        ("torch.nn.functional", "F.conv_transpose1d(x, w)", "add --kernel I,O,W"),
        ("torch.nn.functional", "F.conv2d(3, w)", "'input' is the name of a tensor"),
        ("jax.lax", "lax.conv_transpose(x, w, (1,), 'SAME')", "the kernel is not flipped"),
        ("jax.lax", "lax.conv(x, w, 1, 'SAME')", "'window_strides' is one whole number per"),
        (
            "jax.lax",
            "lax.conv_general_dilated(x, w, (1, 1), 'SAME', lhs_dilation=(2, 2))",
            "'lhs_dilation' has no counterpart",
        ),
        (
            "jax.lax",
            "lax.conv_general_dilated(x, w, (1,), 'SAME', batch_group_count=2)",
            "'batch_group_count' has no counterpart",
        ),
        (
            "jax.lax",
            "lax.conv_general_dilated(x, w, (1, 1), 'SAME', None, None, ('NCHW', 'OIWH', 'NCHW'))",
            "dimension_numbers: three orders",
        ),
        ("jax.lax", "lax.reduce_window(x, 0., lax.add, (1, 1, 2, 2))", "sums, not averages"),
        ("flax.linen", "nn.ConvTranspose(8, (3, 3))", "the kernel is not flipped"),
        ("flax.linen", "nn.Conv(8, (3, 3), input_dilation=2)", "'input_dilation' has no"),
        ("flax.linen", "nn.max_pool(x, 2)", "'window_shape' is one whole number per"),
        ("flax.linen", "Conv(8, 3)", "may be flax.linen or flax.nnx"),
        ("tf.nn", "tf.nn.conv2d(x, w, 1, 'same')", "padding: there are 'SAME' and 'VALID'"),
        ("tf.nn", "tf.nn.max_pool(x, 2, 2, 'SAME')", "is not in the call; use --input"),
        ("tf.nn", "tf.nn.conv1d(x, w, 1, [[0, 0], [1, 1], [0, 0]])", "'padding' is a word"),
        ("tf.nn", "tf.nn.conv2d(x, w, [2, 1, 1, 1], 'SAME')", "strides: batch and channels"),
        ("keras.layers", "layers.Conv2D(8, 3, padding=(0, 1))", "'padding' is a word in quotes"),
        ("keras.layers", "layers.Conv2D(8, 3, activation='relu')", "'activation' has no"),
        ("keras.layers", "layers.Conv2D(8, 3, 2, dilation_rate=2)", "Keras refuses strides"),
        ("keras.layers", "layers.Conv2D(8, 3, padding='causal')", "there are 'valid' and 'same'"),
        ("keras.layers", "layers.AdaptiveMaxPooling2D(0)", "'output_size' is a whole number"),
        ("tf.nn", "tf.nn.max_pool_with_argmax(x, 2, 2, 'SAME')", "indices count the channels"),
        ("mxnet.npx", "npx.pooling(x, kernel=(2, 2), pool_type='min')", "pool_type"),
        ("mxnet.npx", "npx.pooling(x, (2, 2), 'lp', p_value=3)", "p_value: 2 is translated"),
        ("mxnet.npx", "npx.pooling(x, (2, 2), 'lp', True)", "pool_type: 'max' and 'avg'"),
        (
            "mxnet.npx",
            "npx.deconvolution(x, w, kernel=(3,), num_filter=2, target_shape=(6,))",
            "target_shape: it belongs to an input",
        ),
        ("mxnet.npx", "npx.convolution(x, w, kernel=(3,), num_filter=8)", "a bias is given"),
        ("mxnet.gluon", "nn.Conv2D(8, 3, layout='HWCN')", "layout: there are 'NCHW' and 'NHWC'"),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(api: str, text: str, part: str) -> None:
    result = outcome(text, adapter_of(api), Shapes())
    assert isinstance(result, str), result
    assert part in result
    assert_clean(result)


@pytest.mark.parametrize(
    ("api", "text", "shape", "part"),
    [
        ("torch.nn", "nn.Conv2d(3, 8, 3)", (1, 4, 8, 8), "--input has 4 channels, the call 3"),
        ("torch.nn", "nn.Conv2d(3, 8, 3)", (3, 8, 8), "--input for nn.Conv2d is N,C,H,W"),
        ("tf.nn", "tf.nn.conv1d_transpose(x, w, [1, 9, 4], 2)", (1, 3, 4), "it belongs to --input"),
    ],
)
def test_shapes_that_disagree_are_refused(
    api: str, text: str, shape: tuple[int, ...], part: str
) -> None:
    result = outcome(text, adapter_of(api), Shapes(shape, (3, 4, 3) if api == "tf.nn" else None))
    assert isinstance(result, str)
    assert part in result


def test_a_kernel_that_disagrees_is_refused() -> None:
    result = outcome("nn.Conv2d(3, 8, 3)", adapter_of("torch.nn"), Shapes(None, (8, 3, 3, 5)))
    assert result == "--kernel is 8,3,3,5, the call's is 8,3,3,3"


def test_defaults_are_the_frameworks_own() -> None:
    kernel = (8, 3, 3, 3)
    assert resolved("flax.linen", "nn.Conv(8, (3, 3))").padding.word == "same"
    assert resolved("keras.layers", "layers.Conv2D(8, 3)").padding.none
    assert resolved("torch.nn", "nn.MaxPool2d(3)").stride == (3, 3)
    assert resolved("keras.layers", "layers.MaxPooling2D(3)").stride == (3, 3)
    assert resolved("mxnet.gluon", "nn.MaxPool2D(3)").stride == (3, 3)
    assert resolved("flax.linen", "nn.max_pool(x, (3, 3))").stride == (1, 1)
    assert resolved("mxnet.npx", "npx.pooling(x, kernel=(3, 3))").stride == (1, 1)
    assert resolved("tf.nn", "tf.nn.pool(x, [3, 3], 'MAX')").stride == (1, 1)
    average = resolved("tf.nn", "tf.nn.avg_pool2d(x, 3, 1, 'SAME')")
    assert isinstance(average, Pool)
    assert not average.count_include_pad
    average = resolved("flax.linen", "nn.avg_pool(x, (3, 3), padding='SAME')")
    assert isinstance(average, Pool)
    assert average.count_include_pad
    assert resolved("torch.nn", "nn.Conv2d(3, 8, 3)").bias  # type: ignore[union-attr]
    assert not resolved("torch.nn.functional", "F.conv2d(x, w)", kernel).bias  # type: ignore[union-attr]


def test_explicit_padding_of_flax_pads_the_dilated_input() -> None:
    text = "nn.ConvTranspose(8, (3, 3), (2, 2), padding={}, transpose_kernel=True)"
    assert resolved("flax.linen", text.format("2")).padding.none
    wide = resolved("flax.linen", text.format("((2, 3), (1, 2))"))
    assert isinstance(wide, ConvTranspose)
    assert (wide.padding.pairs, wide.output_padding) == (((0, 0), (1, 1)), (1, 1))


def test_one_position_is_global_pooling() -> None:
    assert resolved("torch.nn", "nn.AdaptiveAvgPool2d(1)").op == "global_avg_pool"
    assert resolved("torch.nn.functional", "F.adaptive_max_pool1d(x, 1)").op == "global_max_pool"
    shared = resolved("torch.nn", "nn.AdaptiveAvgPool2d((None, 7))")
    assert shared.output_shape == (1, 3, 32, 7)


@pytest.mark.parametrize(
    ("api", "text"),
    [
        ("flax.nnx", "nnx.Conv(3, 8, 3, padding='CAUSAL', kernel_dilation=2)"),
        ("keras.layers", "layers.Conv1D(8, 3, padding='causal', dilation_rate=2)"),
    ],
)
def test_causal_padding_keeps_its_word(api: str, text: str) -> None:
    padding = resolved(api, text).padding
    assert (padding.word, padding.pairs) == ("causal", ((4, 0),))


@pytest.mark.parametrize(
    ("api", "text", "op", "size"),
    [
        ("keras.layers", "layers.AdaptiveAveragePooling2D((3, 2))", "adaptive_avg_pool", (3, 2)),
        ("keras.layers", "layers.AdaptiveMaxPooling1D(3)", "adaptive_max_pool", (3,)),
        ("keras.layers", "layers.GlobalMaxPool3D(keepdims=True)", "global_max_pool", (1, 1, 1)),
        ("mxnet.npx", "nd.contrib.AdaptiveAvgPooling2D(x, 5)", "adaptive_avg_pool", (5, 5)),
        ("mxnet.npx", "nd.contrib.AdaptiveAvgPooling2D(x)", "adaptive_avg_pool", (1, 1)),
        ("mxnet.npx", "npx.pooling(x, (9, 9), global_pool=True)", "global_max_pool", (1, 1)),
        ("mxnet.gluon", "nn.GlobalAvgPool1D()", "global_avg_pool", (1,)),
    ],
)
def test_adaptive_and_global_pooling(api: str, text: str, op: str, size: tuple[int, ...]) -> None:
    r = resolved(api, text)
    assert isinstance(r, Pool)
    assert (r.op, r.output_size) == (op, size)


def test_sums_and_norms_of_mxnet() -> None:
    total = resolved("mxnet.npx", "npx.pooling(x, (2, 2), 'sum')")
    norm = resolved("mxnet.npx", "npx.pooling(x, (2, 2), 'lp', p_value=2)")
    assert isinstance(total, Pool)
    assert isinstance(norm, Pool)
    assert (total.op, total.divisor, norm.op, norm.norm) == ("avg_pool", 1, "lp_pool", 2)


def test_a_target_shape_stands_for_paddings() -> None:
    text = "npx.deconvolution(x, w, kernel=(3,), stride=(2,), num_filter=1, target_shape=({},))"
    shapes = Shapes((1, 1, 3), (1, 1, 3))
    for size, padding, extra in ((7, 0, 0), (6, 1, 1), (5, 1, 0)):
        r = outcome(text.format(size), adapter_of("mxnet.npx"), shapes)
        assert isinstance(r, ConvTranspose)
        assert (r.padding.pairs, r.output_padding) == (((padding, padding),), (extra,))
    result = outcome(text.format(8), adapter_of("mxnet.npx"), shapes)
    assert result == "target_shape: it is above the largest output"


def test_what_the_call_leaves_open_is_filled_in() -> None:
    assert resolved("torch.nn", "nn.Conv2d(3, 8, 40)").input_shape == (1, 3, 40, 40)
    assert resolved("torch.nn", "nn.Conv1d(4, 8, 3, dilation=30)").input_shape == (1, 4, 61)
    assert resolved("keras.layers", "layers.Conv2D(8, 3, groups=2)").input_shape == (1, 4, 32, 32)
    assert resolved("keras.layers", "layers.DepthwiseConv2D(3)").kernel_shape == (3, 1, 3, 3)  # type: ignore[union-attr]
    sized = resolved("keras.layers", "layers.Conv2D(8, 3, input_shape=(28, 27, 1))")
    assert sized.input_shape == (1, 1, 28, 27)
