"""A reply of a server goes on after Ctrl-C at any line, loses nothing and is asked for once."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from minireason import Done, Event, Reasoner, Reply
from tests.backends.remote.misbehaving import Answer, Misbehaving, chunk, reply
from tests.interrupted import Act, Interrupter

Connect = Callable[..., Reasoner]
Make = Callable[..., Misbehaving]


def answer(body: dict[str, Any]) -> Answer:
    """A thought that is too long, or the answer to one that goes on."""
    if body["messages"][-1]["role"] == "assistant":
        return reply(chunk(content="It "), chunk(content="is "), chunk(content="2."))
    return reply(*[chunk(reasoning=f"{number} and. ") for number in range(40)])


@pytest.mark.parametrize(
    "file", ["remote/stream.py", "remote/exchange.py", "remote/labels.py", "backends/collected.py"]
)
@pytest.mark.parametrize("polled", [False, True])
def test_nothing_is_lost_at_any_line(
    misbehaving: Make, connected: Connect, file: str, polled: bool
) -> None:
    server = misbehaving(*[answer] * 2000, owner="sglang")
    reasoner = connected(server.url)

    def scenario(act: Callable[[Act], object]) -> tuple[str, Reply, int]:
        before = len(server.bodies)
        stream = reasoner.stream("1 + 1?", thinking_budget=8, seed=1)
        events: list[Event] = []

        def one() -> None:
            events.append(next(stream))  # in one line: nothing comes between

        def some() -> None:
            events.extend(stream.poll())

        while not (events and isinstance(events[-1], Done)):
            act(some if polled else one)
        said = "".join(event.text for event in events if not isinstance(event, Done))
        return said, stream.reply, len(server.bodies) - before

    scenario(uninterrupted := Interrupter(file, 0, 0))
    for line, time in product(sorted(uninterrupted.lines), (1, 2)):
        said, whole, asked = scenario(Interrupter(file, line, time, by_signal=True))
        assert said == whole.thinking + whole.answer
        assert (whole.answer, whole.thinking_end, asked) == ("It is 2.", "budget", 2)
