"""Many clients for minutes, a third of which go away in the middle: what is lost or mixed up."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import clients

CLIENTS = 64
QUESTIONS = 96
LEAVING_SHARE = 1 / 3


@dataclass(slots=True)
class Stressed:
    """What came of it; `rss_kib` are (seconds, resident memory) of the server."""

    whole: int = 0
    left: int = 0
    mixed_up: int = 0
    refused: int = 0
    lost: int = 0
    stuck: float = 0.0
    rss_kib: list[tuple[float, int]] = field(default_factory=list)

    @property
    def rss_ratio(self) -> float:
        """The mean of the last 30 seconds by that of the seconds 30 to 60."""
        end = self.rss_kib[-1][0]
        late = [kib for at, kib in self.rss_kib if at >= end - 30]
        early = [kib for at, kib in self.rss_kib if 30 <= at < 60] or late
        return (sum(late) / len(late)) / (sum(early) / len(early))


def question(number: int) -> clients.Request:
    """A sum that no other number has; greedy, so that its reply is always the same on tiny."""
    text = f"What is {100 + 7 * number} + {11 + 13 * number}?"
    message = {"role": "user", "content": text}
    return {"messages": [message], "temperature": 0, "max_tokens": 400}


async def run(port: int, process: int, seconds: float) -> Stressed:
    """Stress a server that has tiny; every whole reply is compared with one of a quiet time."""
    requests = [question(number) for number in range(QUESTIONS)]
    alone = [await clients.ask(port, request) for request in requests]
    texts = [reply.text if reply else "" for reply in alone]
    stressed, numbers = Stressed(), itertools.cycle(range(QUESTIONS))
    until = time.monotonic() + seconds
    jobs = [one(port, requests, texts, numbers, until, stressed) for _ in range(CLIENTS)]
    watching = asyncio.create_task(watch(process, stressed))
    await asyncio.gather(*jobs)
    watching.cancel()
    await asyncio.sleep(1.0)
    stressed.stuck = slots_in_use(port)
    return stressed


async def one(
    port: int,
    requests: list[clients.Request],
    texts: list[str],
    numbers: itertools.cycle[int],
    until: float,
    stressed: Stressed,
) -> None:
    """One client until the time is over."""
    chance = random.Random(id(asyncio.current_task()))
    while time.monotonic() < until:
        number = next(numbers)
        leave = chance.randrange(30) if chance.random() < LEAVING_SHARE else None
        try:
            got = await clients.ask(port, requests[number], leave_after=leave)
        except clients.Refused:
            stressed.refused += 1
            await asyncio.sleep(0.1)
        except (OSError, EOFError, ValueError):
            stressed.lost += 1
        else:
            stressed.left += got is None
            stressed.whole += got is not None
            stressed.mixed_up += got is not None and got.text != texts[number]


async def watch(process: int, stressed: Stressed) -> None:
    """Note the server's memory each second."""
    began = time.monotonic()
    while True:
        status = Path(f"/proc/{process}/status").read_text("utf-8")
        rss = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        stressed.rss_kib.append((time.monotonic() - began, int(rss.split()[1])))
        await asyncio.sleep(1.0)


def slots_in_use(port: int) -> float:
    """How many places the server says are taken."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        text = response.read().decode()
    values = [line.split()[-1] for line in text.splitlines() if line.startswith(IN_USE)]
    return sum(map(float, values))


IN_USE = "minireason_slots_in_use"
