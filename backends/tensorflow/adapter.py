"""TensorFlow: ``tf.nn``, and ``keras.layers`` on TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from conformance.adapter import (
    EAGER,
    Adapter,
    Cast,
    Driver,
    Glue,
    Info,
    Lowering,
    Mode,
    Program,
    Unsupported,
)
from conformance.dtypes import DTYPES, Array
from conformance.request import Conv, ConvTranspose, Pool, Request
from conformance.source import call, gradients, literal, scalar

from ..jax.recipes import ARRAY_FUNCTIONS, dilated
from ..keras.layers import KerasLayers
from .calls import CALLS
from .pooling import ChannelsLastPooling
from .recipes import Lines

GRAPHS: Mapping[str, Mapping[str, bool]] = {
    "function": {"autograph": False},
    "xla": {"autograph": False, "jit_compile": True},
}


class TfNn(ChannelsLastPooling):
    """The operators as functions."""

    name = "tf.nn"
    glue = Glue(
        "tf.nn.relu({x})", "tf.concat([{x}, {y}], {axis})", "tf.reduce_sum({x})",
        {"tf": "import tensorflow as tf"},
    )  # fmt: skip
    imports: Mapping[str, str] = {"tf": "import tensorflow as tf"}
    cast = Cast("tf.cast({x}, tf.{dtype})", "import tensorflow as tf")
    calls = CALLS
    heads = ("tf.nn",)
    reflect = "REFLECT"
    valid = "VALID"
    functions: Mapping[str, str] = {
        **{name: f"tf.{name}" for name in ARRAY_FUNCTIONS},
        "abs": "tf.abs",
        "arange": "tf.range",
        "cast": "tf.cast",
        "clip": "tf.clip_by_value",
        "concatenate": "tf.concat",
        "max": "tf.reduce_max",
        "max_pool": "tf.nn.max_pool2d",
        "mean": "tf.reduce_mean",
        "min": "tf.reduce_min",
        "reshape": "tf.reshape",
        "stack": "tf.stack",
        "sum": "tf.reduce_sum",
        "take": "tf.gather",
        "where": "tf.where",
        "zeros_like": "tf.zeros_like",
    }

    def flattened(self, index: str) -> str:
        return f"tf.reshape({index}, [-1])"

    def native(self, r: Request) -> Lines | Unsupported:
        if isinstance(r, Pool):
            return self._native_pool(r)
        name = f"conv{r.rank}d" if isinstance(r, Conv) else f"conv{r.rank}d_transpose"
        if r.padding.mode != "zeros" and not r.padding.none:
            return Unsupported(f"tf.nn.{name} pads with zeros only")
        word = self._word(r)
        if word is None and r.rank != 2:
            return Unsupported(f"tf.nn.{name} has no explicit padding")
        return self._kernel(r, word or self._explicit(r))

    def plain(self, r: Request) -> Lines:
        return self._pool(r, "VALID") if isinstance(r, Pool) else self._kernel(r, "VALID")

    def unbatched(self, r: Request) -> Lowering:
        """The call is the same, and says no more than the shape of ``x`` that there is no batch."""
        lowering = super().unbatched(r)
        by_hand = isinstance(r, Pool) and r.padding_value is not None
        native = self.argmax(r) if isinstance(r, Pool) and r.indices else self.native(r)
        if by_hand or isinstance(native, Unsupported):
            return lowering
        return replace(lowering, native=self.program(r, native))

    def _word(self, r: Request) -> str | None:
        """The word by which TensorFlow means what the request means."""
        if r.padding.word == "same":
            return "SAME"
        return "VALID" if r.padding.none else None

    def _explicit(self, r: Request) -> list[list[int]]:
        return [list(pair) for pair in self.layout.spread(r.padding.pairs, (0, 0))]

    def _kernel(self, r: Conv | ConvTranspose, padding: object) -> Lines:
        deep = r.rank == 3
        options: dict[str, object] = {
            "stride" if r.rank == 1 and isinstance(r, Conv) else "strides": _steps(r.stride, deep),
            "padding": padding,
            "dilations": _steps(r.dilation, deep) if dilated(r) else None,
        }
        if isinstance(r, Conv):
            expression = call(f"tf.nn.conv{r.rank}d", "x", "w", **options)
        else:
            batch = [] if r.unbatched else [r.input_shape[0]]
            shape = [*batch, *r.output_shape[2:], r.out_channels]
            name = f"tf.nn.conv{r.rank}d_transpose"
            expression = call(name, "x", "w", output_shape=shape, **options)
        if r.bias:
            return "", [f"y = {expression}", "return y + b"]
        return "", [f"return {expression}"]

    def _native_pool(self, r: Pool) -> Lines | Unsupported:
        name = f"{r.kind}_pool{r.rank}d"
        if r.kind == "lp" or r.output_size is not None:
            return Unsupported(f"tf.nn has no {r.op}")
        if r.ceil_mode:
            return Unsupported(f"tf.nn.{name} has no ceil mode")
        if r.divisor is not None:
            return Unsupported(f"tf.nn.{name} divides by what it counts only")
        padding = self._word(r)
        if r.kind == "avg" and padding == "SAME" and r.count_include_pad and not r.padding.none:
            return Unsupported(f"tf.nn.{name} leaves the padding out of the count")
        if dilated(r) and padding != "VALID":
            return Unsupported("tf.nn.pool pads no dilated windows")
        if padding is not None:
            return self._pool(r, padding)
        if r.kind == "avg" or r.rank == 3:
            return Unsupported(f"tf.nn.{name} has no explicit padding")
        return self._pool(r, self._explicit(r))

    def argmax(self, r: Pool) -> Lines | Unsupported:
        name, padding = "tf.nn.max_pool_with_argmax", self._word(r)
        if r.rank != 2 or padding is None:
            missing = "explicit padding" if r.rank == 2 else f"{r.rank}-D form"
            return Unsupported(f"{name} has no {missing}")
        if r.ceil_mode or dilated(r):
            return Unsupported(f"{name} has no {'ceil mode' if r.ceil_mode else 'dilation'}")
        sizes = {"ksize": _steps(r.window), "strides": _steps(r.stride)}
        return "", [f"_, y = {call(name, 'x', **sizes, padding=padding)}", "return y"]

    def _pool(self, r: Pool, padding: object) -> Lines:
        if dilated(r):
            arguments = "x", literal(list(r.window)), literal(r.kind.upper())
            strides = None if set(r.stride) == {1} else list(r.stride)
            dilations = list(r.dilation)
            word = None if padding == "VALID" else padding
            options = {"strides": strides, "padding": word, "dilations": dilations}
            return "", [f"return {call('tf.nn.pool', *arguments, **options)}"]
        sizes = {"ksize": _steps(r.window), "strides": _steps(r.stride)}
        name = f"tf.nn.{r.kind}_pool{r.rank}d"
        return "", [f"return {call(name, 'x', **sizes, padding=padding)}"]


def _steps(values: tuple[int, ...], deep: bool = False) -> object:
    """Strides or dilations as TensorFlow takes them; in 3-D with the batch and the channels."""
    if deep:
        return [1, *values, 1]
    step = scalar(values)
    return list(step) if isinstance(step, tuple) else step


class TensorFlow(Adapter):
    """TensorFlow's tensors and its gradient tape.

    The mode ``function`` makes graphs of programs, ``xla`` compiles these with XLA.
    """

    name = "tensorflow"
    module = "tensorflow"
    distributions = ("tensorflow", "tensorflow-cpu", "tf-nightly", "keras", "numpy")
    apis = (TfNn(), KerasLayers())
    modes = (
        EAGER,
        Mode("function"),
        Mode("onednn-off", {"TF_ENABLE_ONEDNN_OPTS": "0"}),
        Mode("xla", extra=True),
    )
    environment: Mapping[str, str] = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2"}

    def load(self) -> Info:
        import keras
        import numpy as np
        import tensorflow as tf

        threading = tf.config.threading
        for pool in ("intra", "inter"):
            count = os.environ.get(f"TF_NUM_{pool.upper()}OP_THREADS") or "0"
            getattr(threading, f"set_{pool}_op_parallelism_threads")(int(count))
        build = tf.sysconfig.get_build_info()
        gpus = tf.config.list_physical_devices("GPU")
        return Info(
            versions={
                "tensorflow": tf.__version__,
                "keras": keras.__version__,
                "numpy": np.__version__,
            },
            build={
                "keras backend": keras.backend.backend(),
                "TF_ENABLE_ONEDNN_OPTS": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1 (default)"),
                "CUDA build": str(build["is_cuda_build"]),
                "XLA auto-clustering": str(tf.config.optimizer.get_jit() or "off"),
            },
            device="gpu" if gpus else "cpu",
            threads=str(threading.get_intra_op_parallelism_threads() or os.cpu_count()),
        )

    def tensor(self, array: Array, dtype: str) -> Any:
        import tensorflow as tf

        return tf.cast(tf.constant(array), dtype)

    def array(self, tensor: Any) -> tuple[Array, str]:
        import tensorflow as tf

        tensor = tf.convert_to_tensor(tensor)
        name: str = tensor.dtype.name
        known = DTYPES.get(name)
        values: Array = tensor.numpy()
        return values if known is None else values.astype(known.carrier), name

    def run(
        self,
        program: Mapping[str, Any],
        inputs: Sequence[Any],
        cotangent: Any | None,
        mode: str,
    ) -> Iterator[Any]:
        import tensorflow as tf

        forward = program["forward"]
        if mode in GRAPHS:
            forward = tf.function(forward, **GRAPHS[mode])
        if cotangent is None:
            yield forward(*inputs)
            return
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            output = forward(*inputs)
        yield output
        zero = tf.UnconnectedGradients.ZERO
        yield tuple(tape.gradient(output, list(inputs), [cotangent], zero))

    def driver(
        self, program: Program, names: Sequence[str], dtype: str, mode: str, vjp: bool
    ) -> Driver:
        inputs = ", ".join(names)
        line = f"y = {'graph' if mode in GRAPHS else 'forward'}({inputs})"
        run = []
        if mode in GRAPHS:
            words = ", ".join(f"{name}={value}" for name, value in GRAPHS[mode].items())
            run.append(f"graph = tf.function(forward, {words})")
        if vjp:
            run += ["with tf.GradientTape() as tape:", f"    tape.watch([{inputs}])"]
            none = "unconnected_gradients=tf.UnconnectedGradients.ZERO"
            gradient = f"tape.gradient(y, [{inputs}], [dy], {none})"
            run += [f"    {line}", f"{gradients(names)} = {gradient}"]
        else:
            run.append(line)
        narrow = dtype == "bfloat16"
        # Gradients may be of another type than tensors.
        tensor = "tf.convert_to_tensor({})" if vjp else "{}"
        return Driver(
            ("import tensorflow as tf",),
            "tf.cast(tf.constant({}), tf.bfloat16)" if narrow else "tf.constant({})",
            tuple(run),
            f"{tensor}.numpy()" + ".astype(np.float32)" * narrow,
            f"tf.{dtype}",
        )


adapter = TensorFlow()
