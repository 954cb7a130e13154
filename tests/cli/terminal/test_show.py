from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from minireason import Event, Reasoner, Reply, ThinkingDelta
from minireason.backends.stream import Stream
from minireason.cli.terminal.show import interrupts, show
from minireason.cli.terminal.thinking import Thinking


class Impatient:
    """A stream beside which somebody presses Ctrl-C at each of the first pieces of thinking."""

    def __init__(self, stream: Stream, presses: int) -> None:
        self._stream, self._presses = stream, presses
        self.finish_thinking, self.cancel = stream.finish_thinking, stream.cancel

    def __iter__(self) -> Iterator[Event]:
        for event in self._stream:
            yield event
            if isinstance(event, ThinkingDelta) and self._presses:
                self._presses -= 1
                signal.raise_signal(signal.SIGINT)

    @property
    def reply(self) -> Reply:
        return self._stream.reply


@pytest.mark.parametrize(
    ("presses", "thinking_end", "finish_reason"), [(1, "user", "stop"), (2, "user", "cancelled")]
)
def test_ctrl_c_asks_for_the_answer_and_then_stops(
    tiny: Reasoner, presses: int, thinking_end: str, finish_reason: str
) -> None:
    stream = tiny.stream("What is 4821 + 3979?", temperature=0)
    reply = show(Impatient(stream, presses), Thinking("hide"), None)
    assert (reply.thinking_end, reply.finish_reason) == (thinking_end, finish_reason)
    assert bool(reply.answer) == (presses == 1)


def test_the_last_ctrl_c_is_an_interrupt() -> None:
    seen: list[str] = []
    with interrupts(lambda: False, lambda: seen.append("cancel")):
        signal.raise_signal(signal.SIGINT)
        assert seen == ["cancel"]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
