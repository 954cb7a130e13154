"""Run a stream and show it; Ctrl-C asks for the answer now, and then ends the reply and keeps what there is."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from minireason.cli import render
from minireason.events import AnswerDelta, Event, Reply, ThinkingDelta

NO_ANSWER = {
    "length": "The tokens ran out before there was an answer; allow more with --max-tokens or --ctx.",
    "cancelled": "Stopped before there was an answer.",
    "stop": "The model ended without an answer; ask again, or with another --seed.",
}


class Running(Protocol):
    """A stream or a session's turn."""

    def __iter__(self) -> Iterator[Event]: ...
    def finish_thinking(self) -> bool: ...
    def cancel(self) -> None: ...
    @property
    def reply(self) -> Reply: ...


@contextmanager
def interrupts(*acts: Callable[[], bool | None]) -> Iterator[None]:
    """Within the block each Ctrl-C calls the next of `acts`, past those that return False; after the last comes KeyboardInterrupt."""
    waiting = list(acts)

    def on_signal(_number: int, _frame: Any) -> None:
        while waiting:
            if waiting.pop(0)() is not False:
                return
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def show(stream: Running, thinking: render.Thinking, answer: render.Answer | None, progress: render.Progress) -> Reply:
    """Show a reply as it comes and return it; Ctrl-C in the thinking asks for the answer now, else it ends the reply."""
    with interrupts(stream.finish_thinking, stream.cancel):
        reply = events(stream, thinking, answer, progress.clear)
    if answer and not reply.answer:
        render.error_line(NO_ANSWER[reply.finish_reason])
    return reply


def events(stream: Running, thinking: render.Thinking, answer: render.Answer | None, before: Callable[[], None] = lambda: None) -> Reply:
    """Show the events of a stream as they come (the answer only if there is somewhere to show it), and return the reply."""
    answering = False
    for event in stream:
        before()
        if isinstance(event, ThinkingDelta):
            thinking.write(event.text)
        elif isinstance(event, AnswerDelta) and answer:
            if not answering:
                thinking.end()
                answering = True
            answer.write(event.text)
    if not answering:
        thinking.end()
    if answer and answering:
        answer.end()
    return stream.reply
