"""A stream that is interrupted between two lines of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from minireason import Done, Reasoner, Stream
from minireason.backends import stream as module
from tests.local import local


class Interrupter:
    """Raises KeyboardInterrupt at line number `at` that the file of `Stream` runs, once."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, frame: FrameType, event: str, _argument: object) -> Any:
        if frame.f_code.co_filename != module.__file__:
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return self


def polled(stream: Stream, at: int) -> str:
    """All text of a stream that is polled to its end, and interrupted once on the way."""
    text, interrupter = "", Interrupter(at)
    for _ in range(400):
        sys.settrace(interrupter if interrupter.left > 0 else None)
        try:
            events = stream.poll()
        except KeyboardInterrupt:
            continue
        finally:
            sys.settrace(None)
        text += "".join(getattr(event, "text", "") for event in events)
        if events and isinstance(events[-1], Done):
            return text
    raise AssertionError("the last event never came")


@pytest.mark.parametrize("at", range(20, 44))
def test_an_interruption_loses_no_event(tiny: Reasoner, at: int) -> None:
    with tiny.stream("What is 3 + 4?", temperature=0, max_tokens=12) as stream:
        text = polled(stream, at)
        assert text == stream.reply.thinking + stream.reply.answer


def test_a_block_may_be_left_in_the_middle_of_a_step(
    tiny: Reasoner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a generator is collected there."""

    def events() -> Iterator[str]:
        with tiny.stream("What is 1 + 2?") as stream:
            for event in stream:
                yield str(event)

    abandoned, context = events(), local(tiny).context
    next(abandoned)
    decode = context.decode

    def closing(*batch: Any) -> bool:
        abandoned.close()  # type: ignore[attr-defined]
        return decode(*batch)

    monkeypatch.setattr(context, "decode", closing)
    assert tiny.ask("What is 3 + 4?", max_tokens=10).finish_reason == "length"
    assert not local(tiny).scheduler.sequences
