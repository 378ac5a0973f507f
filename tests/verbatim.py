"""Runs calls as users write them, in a backend's interpreter: ``python verbatim.py FOLDER``.

Reads JSON lines: the API, the request, the source of a program, and its arrays as nested lists;
answers each with the output as nested lists, in canonical order, or with the error.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))


def main(folder: str) -> None:
    import numpy as np

    from conformance.adapter import Lowering, Program
    from conformance.worker.execution import execute
    from conformance.worker.loading import load_adapter
    from conformance.worker.protocol import Message

    adapter = load_adapter(Path(folder))
    adapter.load()
    for line in sys.stdin:
        task = json.loads(line)
        api = next(api for api in adapter.apis if api.name == task["api"])
        lowering = Lowering(Program(task["source"]))
        api.lower = lambda request, said=lowering: said  # type: ignore[method-assign,misc]
        arrays = tuple(np.array(each, task["request"]["dtype"]) for each in task["arrays"])
        header = {"api": api.name, "mode": adapter.modes[0].name, "request": task["request"]}
        reply = execute(adapter, Message({**header, "vjp": False}, arrays))
        forward = reply.header["forms"][0]["forward"]
        answer = forward if "error" in forward else {"output": reply.arrays[0].tolist()}
        print(f"answer {json.dumps(answer)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
