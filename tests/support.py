"""What several test modules share."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
Command = Callable[..., "subprocess.CompletedProcess[str]"]
