"""Runs `minireason serve` and notes the CPU time of the longest callback on its event loop.

`python bench/serving.py NOTE serve ...`: after the server has ended, NOTE holds one JSON object.
Callbacks of the first seconds, in which modules are imported, are counted apart.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from minireason.cli import start

WARM_UP_S = 5.0
CALL = "_run"  # asyncio's own name for it


def note_callbacks() -> dict[str, Any]:
    """Have the longest callback noted from now on, in seconds of CPU time of its thread."""
    longest: dict[str, Any] = {"warm_up_s": 0.0, "longest_s": 0.0, "longest": ""}
    began = time.perf_counter()
    run = getattr(asyncio.Handle, CALL)

    def timed(self: asyncio.Handle) -> Any:
        before = time.thread_time()
        try:
            return run(self)
        finally:
            spent = time.thread_time() - before
            if time.perf_counter() - began < WARM_UP_S:
                longest["warm_up_s"] = max(longest["warm_up_s"], spent)
            elif spent > longest["longest_s"]:
                longest.update(longest_s=spent, longest=repr(self)[:500])

    setattr(asyncio.Handle, CALL, timed)
    return longest


def serve() -> None:
    note, *arguments = sys.argv[1:]
    longest = note_callbacks()
    sys.argv = ["minireason", *arguments]
    try:
        start.run()
    finally:
        Path(note).write_text(json.dumps(longest), "utf-8")


if __name__ == "__main__":
    serve()
