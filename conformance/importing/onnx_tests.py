"""The node tests that the ``onnx`` package carries: models of one node, inputs and outputs.

The package makes them when the modules that define them are imported; only those of convolutions
and poolings are. Their random numbers come from a fixed seed.
"""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.discovery import UsageError
from conformance.dtypes import Array

NODES = "onnx.backend.test.case.node"
WANTED = ("conv", "pool")
REPOSITORY = "https://github.com/onnx/onnx/blob"


@dataclass(frozen=True)
class Test:
    """One node test. ``inputs`` and ``outputs`` are in the node's order, None where left out.

    ``rtol`` and ``atol`` are what upstream allows.
    """

    name: str
    operator: str
    attributes: Mapping[str, Any]
    inputs: tuple[Array | None, ...]
    outputs: tuple[Array | None, ...]
    source: str
    rtol: float
    atol: float


def load(version: str | None = None) -> tuple[str, list[Test]]:
    """The version of the installed package, and its tests in the order in which it defines them.

    Raises:
        UsageError: there is no package, or it has another version than the one that is wanted.
    """
    try:
        onnx = importlib.import_module("onnx")
        package = importlib.import_module(NODES)
    except ImportError as error:
        pin = f"=={version}" if version else ""
        raise UsageError(
            f"the onnx package, which has the tests, is not installed here ({error}); "
            f"pip install onnx{pin}"
        ) from None
    if version is not None and version != onnx.__version__:
        raise UsageError(
            f"onnx {onnx.__version__} is installed here, not {version}; pip install onnx=={version}"
        )
    return onnx.__version__, list(_tests(onnx, package))


def _tests(onnx: Any, package: Any) -> Iterator[Test]:
    sources: dict[str, tuple[str, list[str]]] = {}
    for module in pkgutil.iter_modules(package.__path__):
        if any(word in module.name for word in WANTED):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                loaded = importlib.import_module(f"{NODES}.{module.name}")
            path = f"{NODES.replace('.', '/')}/{module.name}.py"
            text = Path(str(loaded.__file__)).read_text(encoding="utf-8")
            sources[module.name] = path, text.splitlines()
    for made in package._NodeTestCases:
        if len(made.model.graph.node) != 1:
            continue  # the same test once more, its operator written out in others
        (node,) = made.model.graph.node
        if not any(word in node.op_type.lower() for word in WANTED):
            continue
        (inputs, outputs), *_ = made.data_sets
        attributes = {
            attribute.name: _value(onnx.helper.get_attribute_value(attribute))
            for attribute in node.attribute
        }
        yield Test(
            made.name,
            node.op_type,
            attributes,
            _placed(node.input, inputs),
            _placed(node.output, outputs),
            _link(onnx.__version__, made.name, sources.values()),
            made.rtol,
            made.atol,
        )


def _value(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def _placed(names: Any, arrays: Any) -> tuple[Array | None, ...]:
    """One array per name; nothing is handed over for a name that is empty."""
    given = iter(arrays)
    return tuple(next(given) if name else None for name in names)


def _link(version: str, name: str, sources: Any) -> str:
    """The place in the repository, at the package's version, where a test is defined."""
    for path, lines in sources:
        for number, line in enumerate(lines, 1):
            if f'"{name}"' in line:
                return f"{REPOSITORY}/v{version}/{path}#L{number}"
    return f"{REPOSITORY}/v{version}/{NODES.replace('.', '/')}"
