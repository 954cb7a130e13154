"""How long many async streams keep an event loop from anything else.

    python bench/event_loop.py
    python bench/event_loop.py --model shapes/r1-qwen-1.5b.gguf --streams 16 --tokens 32

All streams are opened at once, in one event loop of asyncio, and every event wakes its task; the
last one is read by a task that sleeps between its events. Of each turn of the loop (what is ready
is called, one after another) the processor time of its thread is noted: an upper bound of that of
the longest callback. How late a timer is, in wall time, has in it what the other threads take of
the interpreter and other programs of the cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import selectors
import time
from collections.abc import Coroutine
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import minireason

TIMER_S = 0.01


class Watching(selectors.DefaultSelector):
    """Notes how long the event loop computes between two of its waits, in ms."""

    def __init__(self) -> None:
        super().__init__()
        self.turns_ms: list[float] = []
        self._since: float | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self._since is not None:
            self.turns_ms.append((time.thread_time() - self._since) * 1e3)
        ready = super().select(timeout)
        self._since = time.thread_time()
        return ready


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured."""

    model: str
    streams: int
    tokens: int
    seconds: float
    turns: int
    longest_turn_ms: float
    median_turn_ms: float
    latest_timer_ms: float
    median_timer_ms: float


async def read(reasoner: minireason.AsyncReasoner, number: int, tokens: int, pause_s: float) -> int:
    """Read a stream event by event, and sleep after each: the tokens of its reply."""
    question = f"What is {number} + 5? " + "Think well. " * 20
    async with reasoner.stream(question, max_tokens=tokens, temperature=1.0) as stream:
        async for _ in stream:
            if pause_s:
                await asyncio.sleep(pause_s)
        return stream.tokens


async def note_lateness(late_ms: list[float]) -> None:
    """Sleep again and again, and note how much longer that takes; until cancelled."""
    while True:
        began = time.perf_counter()
        await asyncio.sleep(TIMER_S)
        late_ms.append((time.perf_counter() - began - TIMER_S) * 1e3)


async def measure(watching: Watching, model: str, streams: int, tokens: int) -> Result:
    """Read so many streams at once."""
    late_ms: list[float] = []
    async with await minireason.aload(model) as reasoner:
        await read(reasoner, 0, tokens, 0.0)  # what is made once is made now
        watching.turns_ms.clear()
        timer = asyncio.create_task(note_lateness(late_ms))
        began = time.perf_counter()
        reading: list[Coroutine[Any, Any, int]] = [
            read(reasoner, number, tokens, 0.0) for number in range(streams - 1)
        ]
        counts = await asyncio.gather(*reading, read(reasoner, streams, tokens, 0.002))
        seconds = time.perf_counter() - began
        timer.cancel()
    return Result(
        model=model,
        streams=streams,
        tokens=sum(counts),
        seconds=round(seconds, 2),
        turns=len(watching.turns_ms),
        longest_turn_ms=round(max(watching.turns_ms), 2),
        median_turn_ms=round(median(watching.turns_ms), 3),
        latest_timer_ms=round(max(late_ms), 2),
        median_timer_ms=round(median(late_ms), 2),
    )


def main() -> None:
    """Measure, and print it as words and as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=100, help="of each reply at most")
    options = parser.parse_args()
    watching = Watching()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(watching)) as runner:
        result = runner.run(measure(watching, options.model, options.streams, options.tokens))
    print(f"{result.streams} streams of {result.model}: {result.tokens:,} tokens")
    print(f"a turn of the event loop: {result.longest_turn_ms} ms of processor time at most")
    print(f"a timer: {result.latest_timer_ms} ms late at most ({result.median_timer_ms} mostly)")
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main()
