"""The `minireason` program from its first import on: Ctrl-C ends it without a traceback."""

from __future__ import annotations

import gc
import os
import signal
import sys
from types import FrameType

from minireason.cli.outcome import INTERRUPTED

_GC_OBJECTS = 50_000
"""Python looks for garbage after so many new objects; after 700 it is a twentieth of a start."""


def run() -> None:
    """Import the command line and run it; the process ends here."""
    try:
        is_usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if is_usual:  # else a shell has it ignored, and so do we
            signal.signal(signal.SIGINT, _leave)
        gc.set_threshold(_GC_OBJECTS)
        from minireason.cli import main

        if is_usual:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        main.run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _leave(_number: int, _frame: FrameType | None) -> None:
    """Leave at once: what is half imported would raise errors of its own on the way out."""
    os._exit(INTERRUPTED)
