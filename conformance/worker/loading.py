"""Finds an adapter by its folder."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path

from conformance.adapter import Adapter


def load_adapter(folder: Path) -> Adapter:
    """The ``adapter`` that ``folder/adapter.py`` defines.

    Backends of one folder may build on each other: ``from ..jax.adapter import …`` works.

    Raises:
        ImportError: there is no such file, or it defines no adapter.
        Exception: whatever the adapter's module raises.
    """
    file = folder / "adapter.py"
    if not file.is_file():
        raise ImportError(f"{file} does not exist")
    package = "conformance_backends"
    if package not in sys.modules:
        parent = types.ModuleType(package)
        parent.__path__ = [str(folder.parent)]
        sys.modules[package] = parent
    name = f"{package}.{folder.name}"
    if name not in sys.modules:
        module = types.ModuleType(name)
        module.__path__ = [str(folder)]
        sys.modules[name] = module
    spec = importlib.util.spec_from_file_location(f"{name}.adapter", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    adapter = getattr(module, "adapter", None)
    if not isinstance(adapter, Adapter):
        raise ImportError(
            f"{file} defines no 'adapter' (an instance of conformance.adapter.Adapter)"
        )
    if adapter.name != folder.name:
        raise ImportError(
            f"{file}: the adapter's name is {adapter.name!r}, its folder {folder.name!r}"
        )
    return adapter
