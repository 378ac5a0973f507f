"""Entry point of a worker: runs in a backend's interpreter, where the suite is not installed.

Only the package `conformance` becomes importable, not the folder it lies in: the runner's own
site-packages must not reach a worker that may run another Python.
"""

import importlib.util
import sys
from pathlib import Path


def _load_package() -> None:
    package = Path(__file__).resolve().parent.parent
    sys.path[:] = [
        entry for entry in sys.path if Path(entry or ".").resolve() != package / "worker"
    ]
    spec = importlib.util.spec_from_file_location(
        "conformance", package / "__init__.py", submodule_search_locations=[str(package)]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["conformance"] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    _load_package()
    from conformance.worker.main import main

    sys.exit(main(sys.argv[1:]))
