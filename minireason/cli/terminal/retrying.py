"""What is said of a server that is asked again."""

from __future__ import annotations

import time
from collections.abc import Callable

from minireason.backends.base import Backend
from minireason.backends.capabilities import TellsRetries


def words(backend: Backend) -> Callable[[], str]:
    """Says what is sent again now and when; "" while nothing is, and where nothing ever is."""
    if not isinstance(backend, TellsRetries):
        return str

    def now() -> str:
        if not (retry := backend.retry):
            return ""
        left_s = retry.at_s - time.monotonic()
        when = f" in {left_s:.0f} s" if left_s >= 0.5 else ""
        return f"server {retry.problem}, try {retry.number} of {retry.tries}{when}"

    return now
