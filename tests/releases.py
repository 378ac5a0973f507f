"""Releases of a framework that does not exist, as wheels in a folder that pip can be pointed to."""

from __future__ import annotations

import importlib.metadata
import zipfile
from pathlib import Path

import numpy as np

WORKING = """
import numpy as np


def correlate(x, w, padding):
    {}
    x = np.pad(x, [(0, 0), (0, 0), (padding,) * 2, (padding,) * 2])
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], (2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, w)
"""
REFUSES = "raise ValueError('padding is not supported yet')"
PADS = "padding = padding"
DROPS = "padding = 0"
RELEASES = {
    **dict.fromkeys(("1.0", "1.1"), WORKING.format(REFUSES)),
    **dict.fromkeys(("1.2", "1.3", "1.4"), WORKING.format(PADS)),
    "1.5": "raise ImportError('libdrift.so.1 is missing')",
    **dict.fromkeys(("1.6", "1.7", "1.8", "1.9"), WORKING.format(DROPS)),
}
NEEDS = {"1.8": "nowhere-to-be-found>=3"}
CASE = """op: conv
cases:
  - {id: padded, input: {shape: [1, 1, 5, 5]}, kernel: {shape: [1, 1, 3, 3]}, padding: 1}
"""


def make(folder: Path) -> dict[str, str]:
    """Write the wheels; the environment in which pip and uv take them from there, and only these.

    NumPy's wheel leads to the NumPy that is installed here.
    """
    folder.mkdir(parents=True)
    for version, source in RELEASES.items():
        _wheel(folder, "drifting", version, {"drifting.py": source}, NEEDS.get(version))
    here = Path(np.__file__).parent.parent
    _wheel(folder, "numpy", importlib.metadata.version("numpy"), {"numpy-here.pth": f"{here}\n"})
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_CONFIG_FILE": "/dev/null"}


def _wheel(
    folder: Path, name: str, version: str, files: dict[str, str], needs: str | None = None
) -> None:
    about = f"{name}-{version}.dist-info"
    requires = f"Requires-Dist: {needs}\n" if needs else ""
    content = {
        **files,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in (*content, f"{about}/RECORD"))
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in {**content, f"{about}/RECORD": record}.items():
            wheel.writestr(path, text)
