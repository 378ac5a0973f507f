"""The same convolutions in a bare loop: what a framework takes without the suite.

Runs in a backend's interpreter: ``python bare.py FRAMEWORK LAYERS.json``. Each layer is computed
forward and backward, from NumPy arrays to NumPy arrays.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

Step = Callable[[dict[str, int], Any, Any, Any], tuple[Any, ...]]


def torch_step() -> Step:
    import torch
    from torch.nn import functional

    torch.set_num_threads(1)

    def step(layer: dict[str, int], x: Any, w: Any, dy: Any) -> tuple[Any, ...]:
        x, w = (torch.from_numpy(array).requires_grad_() for array in (x, w))
        y = functional.conv2d(x, w, None, layer["stride"], layer["padding"], layer["dilation"])
        dx, dw = torch.autograd.grad(y, (x, w), torch.from_numpy(dy))
        return y.detach().numpy(), dx.numpy(), dw.numpy()

    return step


def _jitted(forward: Callable[[Any, Any], Any], *arrays: Any) -> tuple[Any, ...]:
    import jax

    def both(x: Any, w: Any, dy: Any) -> tuple[Any, ...]:
        y, pull = jax.vjp(forward, x, w)
        return (y, *pull(dy))

    return tuple(np.asarray(array) for array in jax.jit(both)(*arrays))


def jax_step() -> Step:
    from jax import lax

    def step(layer: dict[str, int], x: Any, w: Any, dy: Any) -> tuple[Any, ...]:
        def forward(x: Any, w: Any) -> Any:
            return lax.conv_general_dilated(
                x,
                w,
                (layer["stride"],) * 2,
                [(layer["padding"],) * 2] * 2,
                rhs_dilation=(layer["dilation"],) * 2,
            )

        return _jitted(forward, x, w, dy)

    return step


def flax_step() -> Step:
    from flax import linen

    def step(layer: dict[str, int], x: Any, w: Any, dy: Any) -> tuple[Any, ...]:
        conv = linen.Conv(
            layer["out_channels"],
            (layer["window"],) * 2,
            strides=layer["stride"],
            padding=layer["padding"],
            kernel_dilation=layer["dilation"],
            use_bias=False,
        )

        def forward(x: Any, w: Any) -> Any:
            return conv.apply({"params": {"kernel": w}}, x)

        x, dy = (array.transpose(0, 2, 3, 1) for array in (x, dy))
        return _jitted(forward, x, w.transpose(2, 3, 1, 0), dy)

    return step


def tensorflow_step() -> Step:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)

    def step(layer: dict[str, int], x: Any, w: Any, dy: Any) -> tuple[Any, ...]:
        x = tf.constant(x.transpose(0, 2, 3, 1))
        w = tf.constant(w.transpose(2, 3, 1, 0))
        pads = [[layer["padding"]] * 2] * 2
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            padded = tf.pad(x, [[0, 0], *pads, [0, 0]])
            y = tf.nn.conv2d(padded, w, layer["stride"], "VALID", dilations=layer["dilation"])
        dx, dw = tape.gradient(y, [x, w], tf.constant(dy.transpose(0, 2, 3, 1)))
        return y.numpy(), dx.numpy(), dw.numpy()

    return step


def mxnet_step() -> Step:
    import mxnet as mx

    mx.npx.set_np()

    def step(layer: dict[str, int], x: Any, w: Any, dy: Any) -> tuple[Any, ...]:
        x, w = mx.np.array(x), mx.np.array(w)
        x.attach_grad()
        w.attach_grad()
        with mx.autograd.record():
            y = mx.npx.convolution(
                x,
                w,
                kernel=(layer["window"],) * 2,
                stride=(layer["stride"],) * 2,
                dilate=(layer["dilation"],) * 2,
                pad=(layer["padding"],) * 2,
                num_filter=layer["out_channels"],
                no_bias=True,
            )
        y.backward(mx.np.array(dy))
        return y.asnumpy(), x.grad.asnumpy(), w.grad.asnumpy()

    return step


STEPS = {
    "torch": torch_step,
    "jax": jax_step,
    "flax": flax_step,
    "tensorflow": tensorflow_step,
    "mxnet": mxnet_step,
}


def main(framework: str, path: str) -> None:
    with open(path) as file:
        layers = json.load(file)
    step = STEPS[framework]()
    for layer in layers:
        random = np.random.default_rng(0)
        span = layer["dilation"] * (layer["window"] - 1)
        out = (layer["size"] + 2 * layer["padding"] - span - 1) // layer["stride"] + 1
        shapes = (
            (layer["batch"], layer["channels"], layer["size"], layer["size"]),
            (layer["out_channels"], layer["channels"], layer["window"], layer["window"]),
            (layer["batch"], layer["out_channels"], out, out),
        )
        step(layer, *(random.integers(-8, 9, shape).astype(np.float32) for shape in shapes))


if __name__ == "__main__":
    main(*sys.argv[1:])
