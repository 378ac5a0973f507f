"""Keras on its JAX engine: ``keras.layers``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from conformance.adapter import EAGER, Info, Lowering, Mode, Program
from conformance.request import Conv, ConvTranspose, Request

from ..jax.adapter import JaxAdapter
from ..jax.lowering import X64, wide, widened
from ..keras.layers import KerasLayers
from ..tensorflow.recipes import Lines


class KerasLayersOnJax(KerasLayers):
    """Layers on an engine that has 64 bits only where they are asked for."""

    imports: Mapping[str, str] = {"jax": "import jax", **KerasLayers.imports}

    def program(self, r: Request, *parts: Lines) -> Program:
        if wide(r.dtype) or wide(r.result_dtype):
            parts = ((X64.strip(), []), *parts)
        return super().program(r, *parts)

    def mixed(self, r: Conv | ConvTranspose) -> Lowering:
        lowering = super().mixed(r)
        if isinstance(lowering.native, Program) and wide(r.dtype_of("w")) and not wide(r.dtype):
            return replace(lowering, native=widened(lowering.native))
        return lowering


class KerasJax(JaxAdapter):
    """Keras's layers on JAX's arrays, with JAX's gradients.

    The extra mode ``jit`` compiles programs, as ``fit`` and ``predict`` do.
    """

    name = "keras_jax"
    module = "keras"
    engine = "jax"
    distributions = ("keras", "jax", "jaxlib", "numpy")
    apis = (KerasLayersOnJax(),)
    modes = (EAGER, Mode("jit", extra=True))
    environment: Mapping[str, str] = {**JaxAdapter.environment, "KERAS_BACKEND": "jax"}

    def load(self) -> Info:
        import keras

        info = super().load()
        return replace(info, build={"keras backend": keras.backend.backend(), **info.build})


adapter = KerasJax()
