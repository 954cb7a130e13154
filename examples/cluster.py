"""Answer questions on a Ray cluster of this machine, lose a worker, and compare with a run alone.

`python examples/cluster.py --questions 200`; needs the extra `ray`. For a file of questions there
is `minireason batch --ray`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec

import minireason
from minireason.batch import cluster
from minireason.batch import ray as on_ray
from minireason.batch.jobs import Item, Job
from minireason.batch.local import Answered
from minireason.batch.share import Bounds, share
from minireason.batch.worker import Wanted
from minireason.models import catalog, store

MEMORY = 2**28


def jobs(count: int) -> Iterator[Job]:
    """So many sums, greedily."""
    settings = replace(catalog.defaults("tiny"), temperature=0, seed=1)
    for number in range(1, count + 1):
        message = minireason.Message(role="user", content=f"What is {number} + {3 * number}?")
        yield Job(Item(number, number, (message,), settings), 0, settings)


def on_cluster(count: int) -> dict[int, str]:
    """The answers of two workers, of which one is lost after a quarter of them."""
    import ray

    answers: dict[int, str] = {}
    sha256 = store.fingerprint(store.find("tiny"))
    settings = catalog.defaults("tiny")
    with cluster.joined("auto") as nodes:
        each = share(nodes, MEMORY, None, Bounds(2, 2), 1)
        load: minireason.LoadChanges = {"n_threads": each.cores}
        wanted = Wanted("tiny", sha256, load, settings, "auto", each.memory_bytes)
        runner = on_ray.Runner(wanted, each)
        for result in runner.results(jobs(count)):
            if not isinstance(result, Answered):
                continue
            assert result.job.item.number not in answers, "each reply comes once"
            answers[result.job.item.number] = result.reply.answer
            if len(answers) == count // 4:
                ray.kill(runner.handles[0])
                print(f"lost a worker after {len(answers)} replies")
    return answers


def main() -> None:
    """Ask all of them twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=200)
    count = parser.parse_args().questions
    if find_spec("ray") is None:
        print("Ray is not installed; install it with: pip install 'minireason[ray]'.")
        return
    answers = on_cluster(count)
    with minireason.load("tiny", n_threads=1) as reasoner:
        alone = {
            job.item.number: reasoner.ask(job.item.messages, temperature=0, seed=1).answer
            for job in jobs(count)
        }
    same = sum(answers.get(number) == answer for number, answer in alone.items())
    print(f"{len(answers)} replies from the cluster, {same} the same as without it")


if __name__ == "__main__":
    main()
