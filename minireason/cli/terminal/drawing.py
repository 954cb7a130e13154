"""What is drawn on the terminal now, and has to be taken away before this process is stopped."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from typing import Protocol

DRAWING = threading.Lock()
"""Held by whoever draws, and by whoever has to be sure that nothing is drawn."""


class Drawn(Protocol):
    """Lines that can be taken away; for who holds `DRAWING`."""

    def erase(self) -> None: ...


DRAWN: weakref.WeakSet[Drawn] = weakref.WeakSet()
"""All there are."""


def can_redraw(*, errors_only: bool = False) -> bool:
    """Whether lines can be drawn again on the terminal.

    Standard error has to be one, and unless `errors_only` standard output too.
    """
    clever = os.name == "nt" or os.environ.get("TERM", "") not in ("", "dumb", "unknown")
    return clever and sys.stderr.isatty() and (errors_only or sys.stdout.isatty())
