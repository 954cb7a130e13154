"""The accuracy table of the built-in model's card: `python bench/tiny/evaluate.py`.

Runs on minireason itself, many streams at a time. A cut ends the thought at a share of the length
that the model gave it greedily for the same question. The last line is one JSON document.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import minireason
from minireason import Message, Reasoner, Reply, Stream

SETS = Path(__file__).parent / "sets"
STREAMS = 16
VOTES = 8
CUTS = (0.0, 0.25, 0.5, 0.75)
Item = dict[str, Any]


def messages(item: Item) -> list[Message]:
    """Earlier turns, then the question."""
    turns = []
    for question, answer in item["history"]:
        turns += [Message(role="user", content=question), Message(role="assistant", content=answer)]
    return [*turns, Message(role="user", content=item["question"])]


def run(start: Callable[[int], Stream], count: int) -> list[Reply]:
    """The replies of `count` streams, `STREAMS` of them open at a time."""
    replies: dict[int, Reply] = {}
    open_streams: dict[int, Stream] = {}
    waiting = iter(range(count))
    while len(replies) < count:
        while len(open_streams) < STREAMS and (index := next(waiting, None)) is not None:
            open_streams[index] = start(index)
        for index, stream in list(open_streams.items()):
            if next(stream, None) is None:
                replies[index] = open_streams.pop(index).reply
    return [replies[index] for index in range(count)]


def right(item: Item, reply: Reply) -> bool:
    return bool(reply.boxed == item["answer"])


def majority(replies: list[Reply]) -> str | None:
    """The most frequent boxed answer, the earlier one on a tie; replies without one do not vote."""
    votes = Counter(reply.boxed for reply in replies if reply.boxed is not None)
    return votes.most_common(1)[0][0] if votes else None


def evaluate(reasoner: Reasoner, items: list[Item], voted: int) -> dict[str, dict[str, float]]:
    """Column -> family -> mean.

    Over all items or, for voting and cuts, the first `voted` of each family.
    """
    columns: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))

    def note(column: str, item: Item, value: float) -> None:
        columns[column][item["family"]].append(value)

    greedy = run(
        lambda i: reasoner.stream(messages(items[i]), temperature=0, max_tokens=1500), len(items)
    )
    for item, reply in zip(items, greedy, strict=True):
        note("greedy", item, right(item, reply))
        note("thinking tokens", item, reply.usage.thinking_tokens)
    default = run(
        lambda i: reasoner.stream(messages(items[i]), seed=i, max_tokens=1500), len(items)
    )
    for item, reply in zip(items, default, strict=True):
        note("T=0.6", item, right(item, reply))
    chosen = first_of_each(items, voted)
    jobs = [(index, vote) for index in chosen for vote in range(VOTES)]
    sampled = run(
        lambda j: reasoner.stream(
            messages(items[jobs[j][0]]), temperature=1.0, top_p=1.0, seed=j, max_tokens=1500
        ),
        len(jobs),
    )
    for place, index in enumerate(chosen):
        votes = sampled[place * VOTES : (place + 1) * VOTES]
        note("T=1", items[index], sum(right(items[index], reply) for reply in votes) / VOTES)
        note(f"T=1 majority of {VOTES}", items[index], majority(votes) == items[index]["answer"])
    for share in CUTS:
        budgets = {index: int(greedy[index].usage.thinking_tokens * share) for index in chosen}
        replies = run(partial(cut, reasoner, items, chosen, budgets), len(chosen))
        for index, reply in zip(chosen, replies, strict=True):
            note(f"cut to {share:.0%}", items[index], right(items[index], reply))
    return {column: summary(families) for column, families in columns.items()}


def first_of_each(items: list[Item], count: int) -> list[int]:
    """The indices of the first items of each family."""
    return [
        index
        for index, item in enumerate(items)
        if sum(other["family"] == item["family"] for other in items[:index]) < count
    ]


def cut(
    reasoner: Reasoner, items: list[Item], chosen: list[int], budgets: dict[int, int], job: int
) -> Stream:
    """The greedy reply with the thought closed after its budget.

    Without a landing message, which tiny has never seen.
    """
    index = chosen[job]
    return reasoner.stream(
        messages(items[index]), temperature=0, thinking_budget=budgets[index], landing=""
    )


def summary(families: dict[str, list[float]]) -> dict[str, float]:
    """Mean of each family, and of all items."""
    everything = [value for values in families.values() for value in values]
    return {
        **{family: sum(values) / len(values) for family, values in families.items()},
        "ALL": sum(everything) / len(everything),
    }


def table(columns: dict[str, dict[str, float]]) -> str:
    """Markdown: families across, columns down, in percent but for the lengths."""
    families = list(next(iter(columns.values())))
    lines = ["| | " + " | ".join(families) + " |", "|---" + "|---:" * len(families) + "|"]
    for name, values in columns.items():
        scale = 1 if "tokens" in name else 100
        digits = 0 if "tokens" in name else 1
        lines.append(
            f"| {name} | "
            + " | ".join(f"{values[family] * scale:.{digits}f}" for family in families)
            + " |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", default="test", choices=("dev", "test"))
    parser.add_argument("--model", default="tiny")
    parser.add_argument(
        "--limit", type=int, default=100, help="items of each family for the greedy and T=0.6 rows"
    )
    parser.add_argument(
        "--voted", type=int, default=40, help="items of each family for the voting and cutting rows"
    )
    arguments = parser.parse_args()
    items = [
        json.loads(line)
        for line in (SETS / f"{arguments.set}.jsonl").read_text("utf-8").splitlines()
    ]
    items = [items[index] for index in first_of_each(items, arguments.limit)]
    with minireason.load(arguments.model, n_seq_max=STREAMS, n_threads=1) as reasoner:
        columns = evaluate(reasoner, items, arguments.voted)
    print(table(columns))
    print(
        json.dumps(
            {
                "set": arguments.set,
                "model": arguments.model,
                "items": len(items),
                "columns": columns,
            }
        )
    )


if __name__ == "__main__":
    main()
