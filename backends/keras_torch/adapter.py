"""Keras on its PyTorch engine: ``keras.layers``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from conformance.adapter import EAGER, Info

from ..keras.layers import KerasLayers
from ..torch.adapter import Torch


class KerasTorch(Torch):
    """Keras's layers on PyTorch's tensors, with PyTorch's gradients."""

    name = "keras_torch"
    module = "keras"
    engine = "torch"
    distributions = ("keras", "torch", "numpy")
    apis = (KerasLayers(),)
    modes = (EAGER,)
    environment: Mapping[str, str] = {"KERAS_BACKEND": "torch"}

    def load(self) -> Info:
        import keras

        info = super().load()
        build = {"keras backend": keras.backend.backend(), **info.build}
        return replace(info, versions={"keras": keras.__version__, **info.versions}, build=build)


adapter = KerasTorch()
