"""Calls as users write them, of every API that can be read, and how such a call runs."""

from __future__ import annotations

import ast
import re

from conformance.adapter import Adapter, Api
from conformance.content import root
from conformance.request import Request
from conformance.translation import translate
from conformance.translation.calls import CallError
from conformance.translation.reading import Place, Reading, Shapes
from conformance.worker.loading import load_adapter
from conformance.worker.reading import read

MODULES = {
    "torch.nn": "torch.nn",
    "torch.nn.functional": "torch.nn.functional",
    "jax.lax": "jax.lax",
    "flax.linen": "flax.linen",
    "flax.nnx": "flax.nnx",
    "tf.nn": "tensorflow.nn",
    "keras.layers": "keras.layers",
    "mxnet.npx": "mxnet.npx",
    "mxnet.gluon": "mxnet.gluon.nn",
}
BACKENDS = {
    "torch": ("torch.nn", "torch.nn.functional"),
    "jax": ("jax.lax",),
    "flax": ("flax.linen", "flax.nnx"),
    "tensorflow": ("tf.nn", "keras.layers"),
    "mxnet": ("mxnet.npx", "mxnet.gluon"),
}
TEMPLATES = {
    "torch.nn": (
        "import torch\nfrom torch import nn\nfrom torch.func import functional_call\n"
        "layer = {call}\n"
        "def forward(x, *weights):\n"
        "    y = functional_call(layer, dict(zip(('weight', 'bias'), weights)), x)\n"
        "    return y[1] if isinstance(y, tuple) else y\n"
    ),
    "torch.nn.functional": (
        "import torch\nimport torch.nn.functional as F\n"
        "def forward(x, w=None, b=None):\n"
        "    y = {call}\n"
        "    return y[1] if isinstance(y, tuple) else y\n"
    ),
    "jax.lax": (
        "import jax.numpy as jnp\nfrom jax import lax\ndef forward(x, w=None):\n    return {call}\n"
    ),
    "flax.linen": (
        "from flax import linen as nn\n"
        "def forward(x, *weights):\n"
        "    layer = {call}\n"
        "    if not isinstance(layer, nn.Module):\n        return layer\n"
        "    return layer.apply({{'params': dict(zip(('kernel', 'bias'), weights))}}, x)\n"
    ),
    "flax.nnx": (
        "from flax import nnx\n"
        "def forward(x, w=None, b=None):\n"
        "    layer = {call}\n"
        "    if not isinstance(layer, nnx.Module):\n        return layer\n"
        "    layer.kernel = nnx.Param(w)\n"
        "    if b is not None:\n        layer.bias = nnx.Param(b)\n"
        "    return layer(x)\n"
    ),
    "tf.nn": "import tensorflow as tf\ndef forward(x, w=None):\n    return {call}\n",
    "keras.layers": (
        "import keras\nfrom keras import layers\n"
        "layer = {call}\n"
        "def forward(x, *weights):\n"
        "    layer.build(x.shape)\n"
        "    return layer.stateless_call(list(weights), [], x)[0]\n"
    ),
    "mxnet.npx": (
        "from mxnet import npx\nnpx.set_np()\ndef forward(x, w=None, b=None):\n    return {call}\n"
    ),
    "mxnet.gluon": (
        "from mxnet import npx\nfrom mxnet.gluon import nn\nnpx.set_np()\n"
        "def forward(x, w=None, b=None):\n"
        "    layer = {call}\n"
        "    layer.initialize()\n"
        "    layer(x)\n"
        "    if w is not None:\n        layer.weight.set_data(w)\n"
        "    if b is not None:\n        layer.bias.set_data(b)\n"
        "    return layer(x)\n"
    ),
}
NCHW, K4, K3 = (2, 4, 9, 8), (6, 4, 3, 3), (6, 4, 3)
WRITTEN: list[tuple[str, str, tuple[int, ...], tuple[int, ...] | None]] = [
    ("torch.nn", "nn.Conv2d(4, 6, (3, 5), stride=(3, 4), padding=(0, 1))", NCHW, None),
    ("torch.nn", "nn.Conv2d(4, 6, 3, 1, 'same')", NCHW, None),
    ("torch.nn", "nn.Conv2d(4, 6, 2, padding='same', dilation=3, bias=False)", NCHW, None),
    ("torch.nn", "nn.Conv2d(4, 6, 3, padding=1, groups=2, padding_mode='reflect')", NCHW, None),
    ("torch.nn", "nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, 2)", NCHW, None),
    ("torch.nn", "nn.MaxPool2d(3, padding=1)", NCHW, None),
    ("torch.nn", "nn.MaxPool2d((2, 3), ceil_mode=True, dilation=2)", NCHW, None),
    ("torch.nn", "nn.AvgPool2d(2, 3, 1)", NCHW, None),
    ("torch.nn", "nn.AvgPool2d(2, 3, 1, divisor_override=3)", NCHW, None),
    ("torch.nn", "nn.MaxPool2d(3, 2, 1, return_indices=True)", NCHW, None),
    ("torch.nn", "nn.AdaptiveAvgPool2d((4, None))", NCHW, None),
    ("torch.nn", "nn.AdaptiveMaxPool2d(1)", NCHW, None),
    ("torch.nn", "nn.LPPool2d(2, (3, 2), stride=2)", NCHW, None),
    ("torch.nn.functional", "F.conv2d(x, w, b, 2, 1, 2)", NCHW, K4),
    ("torch.nn.functional", "torch.conv1d(x, w, padding='valid')", (2, 4, 9), K3),
    ("torch.nn.functional", "F.conv_transpose2d(x, w, None, 2, 1, 1)", NCHW, (4, 6, 3, 3)),
    ("torch.nn.functional", "F.avg_pool1d(x, 3, 2, 1, True, False)", (2, 4, 9), None),
    ("torch.nn.functional", "F.max_pool3d(x, 2)", (1, 2, 5, 4, 6), None),
    ("torch.nn.functional", "F.max_pool1d(x, 3, 1, return_indices=True)", (2, 4, 9), None),
    ("torch.nn.functional", "F.avg_pool3d(x, 2, divisor_override=5)", (1, 2, 5, 4, 6), None),
    ("torch.nn.functional", "F.adaptive_avg_pool2d(x, (1, 1))", NCHW, None),
    ("torch.nn.functional", "F.adaptive_avg_pool1d(x, 4)", (2, 4, 9), None),
    ("torch.nn.functional", "F.adaptive_max_pool3d(x, (2, 3, None))", (1, 2, 5, 4, 6), None),
    ("torch.nn.functional", "F.lp_pool1d(x, 4.0, 3)", (2, 4, 9), None),
    ("jax.lax", "lax.conv(x, w, (1, 2), 'SAME')", NCHW, K4),
    ("jax.lax", "lax.conv_general_dilated(x, w, (2, 2), 'SAME_LOWER')", NCHW, K4),
    ("jax.lax", "lax.conv_general_dilated(x, w, (2, 1), [(0, 2), (1, 0)], None, (2, 1))", NCHW, K4),
    (
        "jax.lax",
        "lax.conv_transpose(x, w, (2, 3), 'SAME', None, ('NCHW', 'OIHW', 'NCHW'), True)",
        NCHW,
        (4, 6, 3, 2),
    ),
    (
        "jax.lax",
        "lax.conv_transpose(x, w, (2, 3), [(1, 2), (0, 1)], (2, 1), ('NCHW', 'OIHW', 'NCHW'), "
        "transpose_kernel=True)",
        NCHW,
        (4, 6, 3, 2),
    ),
    (
        "jax.lax",
        "lax.conv_transpose(x, w, (2, 3), [(1, 2), (0, 1)], None, ('NCHW', 'OIHW', 'NCHW'), "
        "transpose_kernel=True, use_consistent_padding=True)",
        NCHW,
        (4, 6, 3, 2),
    ),
    (
        "jax.lax",
        "lax.conv_transpose(x, w, (4, 3), 'VALID', None, ('NCHW', 'OIHW', 'NCHW'), True)",
        NCHW,
        (4, 6, 3, 2),
    ),
    ("jax.lax", "lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 3, 2))", NCHW, None),
    (
        "jax.lax",
        'lax.reduce_window(x, float("-inf"), lax.max, (1, 1, 3, 2), (1, 1, 2, 2), "SAME")',
        NCHW,
        None,
    ),
    ("flax.linen", "nn.Conv(6, (3, 3), 2)", NCHW, None),
    ("flax.linen", "nn.Conv(6, 3, padding='CAUSAL', kernel_dilation=2)", (2, 4, 9), None),
    ("flax.linen", "nn.Conv(6, (3, 2), (2, 1), 'CIRCULAR')", NCHW, None),
    ("flax.linen", "nn.Conv(6, (3, 2), padding='REFLECT', use_bias=False)", NCHW, None),
    ("flax.linen", "nn.Conv(6, (3, 2), padding=((0, 1), (2, 0)))", NCHW, None),
    ("flax.linen", "nn.Conv(6, (3, 2), padding=(1, 2), feature_group_count=2)", NCHW, None),
    ("flax.linen", "nn.ConvTranspose(6, (3, 3), (2, 2), transpose_kernel=True)", NCHW, None),
    (
        "flax.linen",
        "nn.ConvTranspose(6, (3, 3), (2, 2), padding=1, transpose_kernel=True)",
        NCHW,
        None,
    ),
    ("flax.linen", "nn.max_pool(x, (2, 2))", NCHW, None),
    ("flax.linen", "nn.avg_pool(x, (3, 2), (2, 2), 'SAME')", NCHW, None),
    ("flax.linen", "nn.avg_pool(x, (3, 2), padding='SAME', count_include_pad=False)", NCHW, None),
    ("flax.nnx", "nnx.Conv(4, 6, (3, 3), rngs=nnx.Rngs(0))", NCHW, None),
    (
        "flax.nnx",
        "nnx.ConvTranspose(4, 6, (3, 2), 2, padding=((1, 2), (0, 0)), transpose_kernel=True, "
        "rngs=nnx.Rngs(0))",
        NCHW,
        None,
    ),
    ("flax.nnx", "nnx.max_pool(x, (2, 2), (2, 2), ((1, 0), (0, 1)))", NCHW, None),
    ("tf.nn", "tf.nn.conv2d(x, w, 2, 'SAME')", NCHW, K4),
    ("tf.nn", "tf.nn.conv2d(x, w, [1, 2, 1, 1], [[0, 0], [1, 0], [2, 1], [0, 0]])", NCHW, K4),
    ("tf.nn", "tf.nn.conv2d(x, w, (2, 1), 'VALID')", NCHW, (6, 2, 3, 3)),
    ("tf.nn", "tf.nn.conv1d(x, w, 2, 'SAME')", (2, 4, 9), K3),
    ("tf.nn", "tf.nn.convolution(x, w)", NCHW, K4),
    ("tf.nn", "tf.nn.conv2d_transpose(x, w, [2, 18, 15, 6], 2)", NCHW, (4, 6, 3, 3)),
    ("tf.nn", "tf.nn.conv2d_transpose(x, w, [2, 17, 16, 6], (2, 2))", NCHW, (4, 6, 3, 3)),
    ("tf.nn", "tf.nn.conv2d_transpose(x, w, [2, 20, 18, 6], 2, 'VALID')", NCHW, (4, 6, 3, 3)),
    ("tf.nn", "tf.nn.conv2d_transpose(x, w, [2, 18, 8, 6], [2, 1], 'SAME')", NCHW, (4, 6, 3, 2)),
    ("tf.nn", "tf.nn.max_pool2d(x, 3, 2, 'SAME')", NCHW, None),
    ("tf.nn", "tf.nn.max_pool2d(x, [1, 2, 3, 1], 1, [[0, 0], [1, 0], [0, 2], [0, 0]])", NCHW, None),
    ("tf.nn", "tf.nn.avg_pool(x, (3, 2), (2, 2), 'SAME')", NCHW, None),
    ("tf.nn", "tf.nn.pool(x, (2, 2), 'MAX')", NCHW, None),
    ("tf.nn", "tf.nn.pool(x, (2, 2), 'AVG', (1, 1), 'VALID', None, (2, 1))", NCHW, None),
    ("keras.layers", "layers.Conv2D(6, 3)", NCHW, None),
    ("keras.layers", "layers.Conv2D(6, (2, 3), 2, 'same', use_bias=False)", NCHW, None),
    (
        "keras.layers",
        "keras.layers.Conv1D(6, 3, padding='causal', dilation_rate=2)",
        (2, 4, 9),
        None,
    ),
    ("keras.layers", "layers.Conv2D(6, 3, 1, 'same', None, 2, 2)", NCHW, None),
    ("keras.layers", "layers.Conv2DTranspose(6, 3, 2)", NCHW, None),
    ("keras.layers", "layers.Conv2DTranspose(6, 2, 3)", NCHW, None),
    ("keras.layers", "layers.Conv2DTranspose(6, 3, 2, 'same')", NCHW, None),
    ("keras.layers", "layers.Conv2DTranspose(6, 3, 2, 'same', 0)", NCHW, None),
    ("keras.layers", "layers.Conv2DTranspose(6, (4, 3), 2, 'same', 1)", NCHW, None),
    ("keras.layers", "layers.Conv2DTranspose(6, 3, 3, 'valid', (1, 2))", NCHW, None),
    ("keras.layers", "layers.MaxPooling2D()", NCHW, None),
    ("keras.layers", "layers.MaxPooling2D((2, 3), padding='same')", NCHW, None),
    ("keras.layers", "layers.AveragePooling2D(3, 2, 'same')", NCHW, None),
    ("keras.layers", "layers.AdaptiveMaxPooling2D((3, 5))", NCHW, None),
    ("keras.layers", "layers.AdaptiveAveragePooling1D(4)", (2, 4, 9), None),
    ("keras.layers", "layers.GlobalMaxPooling2D(keepdims=True)", NCHW, None),
    ("keras.layers", "layers.GlobalAveragePooling1D(None, True)", (2, 4, 9), None),
    ("mxnet.npx", "npx.convolution(x, w, b, (3, 3), (2, 1), (1, 2), (1, 0), 6)", NCHW, K4),
    ("mxnet.npx", "npx.convolution(x, w, kernel=(3,), num_filter=6, no_bias=True)", (2, 4, 9), K3),
    (
        "mxnet.npx",
        "npx.deconvolution(x, w, kernel=(3, 3), stride=(2, 2), adj=(1, 0), num_filter=6)",
        NCHW,
        (4, 6, 3, 3),
    ),
    ("mxnet.npx", "npx.pooling(x, kernel=(2, 2))", NCHW, None),
    (
        "mxnet.npx",
        "npx.pooling(x, kernel=(3, 2), pool_type='avg', stride=(2, 2), pad=(1, 1), "
        "pooling_convention='full')",
        NCHW,
        None,
    ),
    ("mxnet.npx", "npx.pooling(x, kernel=(3, 2), pool_type='sum', stride=(2, 1))", NCHW, None),
    ("mxnet.npx", "npx.pooling(x, (3, 2), 'lp', pad=(1, 0), p_value=2)", NCHW, None),
    ("mxnet.npx", "npx.pooling(x, global_pool=True, pool_type='avg')", NCHW, None),
    ("mxnet.gluon", "nn.GlobalMaxPool2D()", NCHW, None),
    ("mxnet.gluon", "nn.GlobalAvgPool1D()", (2, 4, 9), None),
    ("mxnet.gluon", "nn.Conv2D(6, 3)", NCHW, None),
    ("mxnet.gluon", "nn.Conv2D(6, (3, 2), 2, (1, 0), 1, 2, in_channels=4)", NCHW, None),
    ("mxnet.gluon", "nn.Conv2DTranspose(6, 3, 2, 1, 1, use_bias=False)", NCHW, None),
    ("mxnet.gluon", "nn.MaxPool2D()", NCHW, None),
    ("mxnet.gluon", "nn.AvgPool2D(3, 2, 1, True, count_include_pad=False)", NCHW, None),
]
ADAPTERS = [load_adapter(root("backends") / name) for name in sorted(BACKENDS)]
APIS = {api.name: (adapter, api) for adapter in ADAPTERS for api in adapter.apis}
JARGON = re.compile(r"Traceback|<class|object at 0x|Symbol\(|pydantic|Input should|ast\.")


def operator_call(source: str, api: Api) -> str:
    """The first call in a program that the API knows; empty where there is none."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and api.calls.knows(ast.unparse(node.func)):
            return ast.get_source_segment(source, node) or ""
    return ""


def adapter_of(api: str) -> Adapter:
    return APIS[api][0]


def outcome(text: str, adapter: Adapter, shapes: Shapes) -> str | Request:
    """What translating a call comes to: its request, or the sentence."""
    header = {"call": text, "apis": [api.name for api in adapter.apis]}
    reply = read(adapter, {**header, "input": shapes.input, "kernel": shapes.kernel})
    if "error" in reply:
        return str(reply["error"])
    places = {name: Place(**place) for name, place in reply["places"].items()}
    try:
        reading = Reading(reply["api"], reply["fields"], places, reply["notes"])
        return translate.case_of(text, reading).request
    except CallError as error:
        return error.message


def resolved(api: str, text: str, kernel: tuple[int, ...] | None = None) -> Request:
    """The request of a call that can be read."""
    result = outcome(text, adapter_of(api), Shapes(kernel=kernel))
    assert not isinstance(result, str), result
    return result


def assert_clean(message: str) -> None:
    """One sentence in a user's words."""
    assert message
    assert "\n" not in message
    assert message.isprintable()
    assert len(message) <= 300
    assert not JARGON.search(message)
