"""What is done while nobody wants the model: above all, the next prompt's beginning is read."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from minireason.backends.base import Backend
from minireason.backends.capabilities import MeasuresItself
from minireason.errors import EngineError, UsageError
from minireason.messages import Message


def read(
    backend: Backend,
    messages: Sequence[Message],
    stopped: Callable[[], bool],
    *,
    cache_scope: str = "",
) -> None:
    """Read what any next question after these messages will be preceded by, and wait for it.

    Afterwards the backend may measure what is faster here, if it can. Errors are left to the
    question that comes, which will meet them again and tell.
    """
    with suppress(EngineError, UsageError):
        backend.prefill(messages, stopped, cache_scope=cache_scope)
        if isinstance(backend, MeasuresItself) and not stopped():
            backend.measure(stopped)


class ReadAhead:
    """One thread at a time that reads the beginning of the next prompt; see `Backend.prefill`."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, backend: Backend, messages: Sequence[Message]) -> None:
        """Read what any next question after these messages will be preceded by; return at once.

        Afterwards the backend may measure what is faster here, if it can.
        """
        self.stop()
        self._stop = stop = threading.Event()

        self._thread = threading.Thread(
            target=lambda: read(backend, messages, stop.is_set),
            name="minireason-read-ahead",
            daemon=True,
        )
        atexit.register(self.stop)  # before the C library is torn down
        self._thread.start()

    def wait(self) -> None:
        """Wait until it has read and measured all."""
        if self._thread:
            self._thread.join()

    def stop(self) -> None:
        """Stop reading, at the next slice, or measuring."""
        thread, self._thread = self._thread, None
        if thread:
            self._stop.set()
            thread.join()
            atexit.unregister(self.stop)
