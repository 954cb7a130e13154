"""What Ray and the list of ids cost the driver of `minireason batch --ray`; needs the extra ray.

`python bench/driver_costs.py --calls 16000`: actors that do nothing, with so many calls under way.
Printed: the processor time of a call, of one look at which calls have ended, the driver's memory
for each call, and the time of an id. One JSON object a line. Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minireason.batch import cluster
from minireason.batch.ids import Ids
from minireason.batch.jobs import Item, Job
from minireason.messages import Message
from minireason.settings import Settings

IDS = 300_000
ACTORS = 4


class Idle:
    """An actor whose calls end when they are told to."""

    async def answer(self, _job: Job, seconds: float) -> int:
        await asyncio.sleep(seconds)
        return 1


def rss_kib() -> int:
    """The resident memory of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def job(number: int) -> Job:
    """A job as a line of a file makes it."""
    settings = Settings(seed=1)
    message = Message(role="user", content="What is it? " * 30)
    return Job(Item(number, number, (message,), settings), 0, settings)


def of_calls(ray: Any, count: int) -> dict[str, float]:
    """The costs of calls, with so many of them under way."""
    kind = ray.remote(Idle).options(num_cpus=0.1, max_concurrency=count)
    actors = [kind.remote() for _ in range(ACTORS)]
    ray.get([actor.answer.remote(job(0), 0.0) for actor in actors])
    before_kib, began_s = rss_kib(), time.process_time()
    calls = [actors[number % ACTORS].answer.remote(job(number), 900.0) for number in range(count)]
    sent_us = (time.process_time() - began_s) / count * 1e6
    time.sleep(5)
    grown_kib = (rss_kib() - before_kib) / count
    began_s = time.process_time()
    for _ in range(5):
        ray.wait(calls, num_returns=len(calls), timeout=0)
    look_ms = (time.process_time() - began_s) / 5 * 1e3
    began_s = time.process_time()
    ray.get([actors[0].answer.remote(job(0), 0.0) for _ in range(500)])
    whole_us = (time.process_time() - began_s) / 500 * 1e6
    return {
        "calls": count,
        "sent_us": round(sent_us),
        "sent_and_got_us": round(whole_us),
        "kib_a_call": round(grown_kib, 1),
        "look_ms": round(look_ms, 1),
    }


def of_ids(name: Callable[[int], object]) -> dict[str, float]:
    """The costs of the ids of a run."""
    ids, began_s = Ids(), time.process_time()
    for number in range(IDS):
        ids.add(json.dumps(name(number)))
    cpu_us = (time.process_time() - began_s) / IDS * 1e6
    ids.close()
    return {"ids": IDS, "cpu_us_an_id": round(cpu_us, 1)}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=8_000, help="under way")
    arguments = parser.parse_args()
    print(json.dumps({"ids are": "numbers", **of_ids(lambda number: number)}))
    print(json.dumps({"ids are": "UUIDs", **of_ids(lambda _number: str(uuid.uuid4()))}))
    with cluster.joined(cluster.LOCAL):
        import ray

        print(json.dumps(of_calls(ray, arguments.calls)), flush=True)


if __name__ == "__main__":
    main()
