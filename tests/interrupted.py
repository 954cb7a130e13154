"""A KeyboardInterrupt at every line of a file that something runs, for tests of what holds then."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")
Act = Callable[[], object]


class Interrupter:
    """Raises KeyboardInterrupt the `time`-th time that a line of a file is about to run.

    Called with an act, it makes it again after an interruption until it is through. From then on
    nothing is traced, which takes three times as long. With `by_signal` it comes as Ctrl-C does,
    which a `DeferredInterrupt` holds up.
    """

    def __init__(self, file: str, line: int, time: int, *, by_signal: bool = False) -> None:
        self._file, self._line, self._left, self._by_signal = file, line, time, by_signal
        self.lines: dict[int, int] = {}
        self.raised = False

    def __call__(self, act: Act) -> object:
        while True:
            sys.settrace(None if self.raised else self._trace)
            try:
                return act()
            except KeyboardInterrupt:
                continue
            finally:
                sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, _argument: object) -> Any:
        if not frame.f_code.co_filename.endswith(self._file):
            return None
        if event == "line":
            line = frame.f_lineno
            self.lines[line] = self.lines.get(line, 0) + 1
            if line == self._line and not self.raised:
                self._left -= 1
                if self._left == 0:
                    self.raised = True
                    if not self._by_signal:
                        raise KeyboardInterrupt
                    signal.raise_signal(signal.SIGINT)
        return self._trace


def every_line(file: str, scenario: Callable[[Callable[[Act], object]], T]) -> Iterator[T]:
    """What a scenario comes to, interrupted at each line that it runs there, at its first time,
    its second and its last."""
    whole = Interrupter(file, 0, 0)
    scenario(whole)
    for line, often in sorted(whole.lines.items()):
        for time in sorted({1, min(2, often), often}):
            interrupter = Interrupter(file, line, time)
            yield scenario(interrupter)
            assert interrupter.raised, f"line {line} was not run {time} times"
