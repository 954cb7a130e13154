"""How long many async streams keep an event loop from anything else.

    python bench/event_loop.py
    python bench/event_loop.py --model shapes/r1-qwen-1.5b.gguf --streams 16 --tokens 32

All streams are opened at once, in one event loop of asyncio, and every event wakes its task. A task
that only lets others run measures each turn of the loop in between: its processor time is that of
all callbacks of the turn, an upper bound of the longest one, and its wall time is how late a timer
may be, with what the driver's thread takes of the interpreter. The last stream is read by a task
that sleeps between its events.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from dataclasses import asdict, dataclass, field

import minireason


@dataclass(slots=True)
class Turns:
    """Times of the turns of an event loop, in ms."""

    cpu_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)

    async def measure(self) -> None:
        """Let others run, and note how long they did, until cancelled."""
        while True:
            cpu, wall = time.thread_time(), time.perf_counter()
            await asyncio.sleep(0)
            self.cpu_ms.append((time.thread_time() - cpu) * 1e3)
            self.wall_ms.append((time.perf_counter() - wall) * 1e3)


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured."""

    model: str
    streams: int
    tokens: int
    seconds: float
    turns: int
    longest_cpu_ms: float
    longest_wall_ms: float
    median_wall_ms: float


async def read(reasoner: minireason.AsyncReasoner, number: int, tokens: int, pause_s: float) -> int:
    """Read a stream event by event, and sleep after each: the tokens of its reply."""
    question = f"What is {number} + 5? " + "Think well. " * 20
    async with reasoner.stream(question, max_tokens=tokens, temperature=1.0) as stream:
        async for _ in stream:
            if pause_s:
                await asyncio.sleep(pause_s)
        return stream.tokens


async def measure(model: str, streams: int, tokens: int) -> Result:
    """Read so many streams at once."""
    turns = Turns()
    async with await minireason.aload(model) as reasoner:
        await read(reasoner, 0, tokens, 0.0)  # what is made once is made now
        measuring = asyncio.create_task(turns.measure())
        began = time.perf_counter()
        slow = streams - 1
        counts = await asyncio.gather(
            *(read(reasoner, each, tokens, 0.002 * (each == slow)) for each in range(streams))
        )
        seconds = time.perf_counter() - began
        measuring.cancel()
    return Result(
        model=model,
        streams=streams,
        tokens=sum(counts),
        seconds=round(seconds, 2),
        turns=len(turns.wall_ms),
        longest_cpu_ms=round(max(turns.cpu_ms), 2),
        longest_wall_ms=round(max(turns.wall_ms), 2),
        median_wall_ms=round(sorted(turns.wall_ms)[len(turns.wall_ms) // 2], 3),
    )


def main() -> None:
    """Measure, and print it as words and as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=100, help="of each reply at most")
    options = parser.parse_args()
    result = asyncio.run(measure(options.model, options.streams, options.tokens))
    print(f"{result.streams} streams of {result.model}: {result.tokens:,} tokens")
    print(f"longest turn of the event loop: {result.longest_cpu_ms} ms of processor time")
    print(f"and {result.longest_wall_ms} ms of wall time (median {result.median_wall_ms} ms)")
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main()
