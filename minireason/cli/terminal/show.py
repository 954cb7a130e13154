"""Run a stream and show it.

Ctrl-C asks for the answer now, and then ends the reply and keeps what there is.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from minireason.cli.terminal.suspension import suspendable
from minireason.events import AnswerDelta, Event, Reply, ThinkingDelta

if TYPE_CHECKING:
    from minireason.cli.terminal.answer import Answer


class Interruptible(Protocol):
    """The stream of a reply or of a session's turn."""

    def __iter__(self) -> Iterator[Event]: ...
    def finish_thinking(self) -> bool: ...
    def cancel(self) -> None: ...
    @property
    def reply(self) -> Reply: ...


class ThinkingShown(Protocol):
    """Where the thinking is shown; see `thinking.Thinking` and `live.LiveThinking`."""

    def write(self, text: str) -> None: ...
    def landing(self) -> None: ...
    def end(self) -> None: ...


@contextmanager
def interrupts(*acts: Callable[[], bool | None]) -> Iterator[None]:
    """Let each Ctrl-C within the block call the next of `acts`, past those that return False.

    After the last of them it raises KeyboardInterrupt.
    """
    waiting = list(acts)

    def on_signal(_number: int, _frame: object) -> None:
        while waiting:
            if waiting.pop(0)() is not False:
                return
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def show(
    stream: Interruptible,
    thinking: ThinkingShown,
    answer: Answer | None,
    before: Callable[[], None] = lambda: None,
) -> Reply:
    """Show a reply as it comes (the answer only if there is somewhere to show it) and return it.

    Ctrl-C in the thinking asks for the answer now, else it ends the reply; `before` is called
    before anything is shown.
    """
    answering = False

    def land() -> bool:
        if not stream.finish_thinking():
            return False
        thinking.landing()
        return True

    with suspendable(), interrupts(land, stream.cancel):
        try:
            for event in stream:
                before()
                if isinstance(event, ThinkingDelta):
                    thinking.write(event.text)
                elif isinstance(event, AnswerDelta) and answer:
                    if not answering:
                        thinking.end()
                        answering = True
                    answer.write(event.text)
        finally:
            if answer and answering:
                answer.end()
            else:
                thinking.end()
    return stream.reply
