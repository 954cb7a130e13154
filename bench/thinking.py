"""Measure whether budgets land, efforts mean something, loops break and answers parse.

On tiny's evaluation sets: `python bench/thinking.py`.

Each part can run alone (`--parts accuracy effort`), and `--results FILE` keeps what was measured
from run to run. Prints a table; the last line is one JSON document of all parts. `--plot FILE.png`
(extra `bench`) draws accuracy against budget.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import loops
import structured
import thinking_report
from subject import shape_file
from thinking_report import Result
from tiny.evaluate import SETS, STREAMS, Item, messages, right, run

import minireason
from minireason import Done, Event, Reasoner, Reply, Stream
from minireason.settings import EFFORT_TOKENS, LANDING

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)
"""Budgets, in parts of the usual length.

That is the median of the uncut thoughts about problems of the same family.
"""
BUDGETS = range(301)
MAX_TOKENS = 1500
ANSWER_TOKENS = 80
"""What is left for an answer of random weights, which never end one."""
LANDINGS = {"line": "", "message": LANDING}
"""Landings as shipped, at the end of a line, without a message and with the default one."""


def read(name: str, limit: int) -> list[Item]:
    """The first `limit` items of each family of a set."""
    items: list[Item] = [
        json.loads(line) for line in (SETS / f"{name}.jsonl").read_text("utf-8").splitlines()
    ]
    seen: Counter[str] = Counter()
    chosen = []
    for item in items:
        seen[item["family"]] += 1
        if seen[item["family"]] <= limit:
            chosen.append(item)
    return chosen


def asker(
    reasoner: Reasoner, items: list[Item], settings: Callable[[int], dict[str, Any]]
) -> Callable[[int], Stream]:
    """Starts the reply to an item by its index, with the settings of that index.

    The seed is the index unless the settings have another.
    """
    return lambda i: reasoner.stream(
        messages(items[i]), **{"seed": i, "max_tokens": MAX_TOKENS, **settings(i)}
    )


def replies(
    reasoner: Reasoner, items: list[Item], settings: Callable[[int], dict[str, Any]]
) -> list[Reply]:
    """The reply to each item; see `asker`."""
    return run(asker(reasoner, items, settings), len(items))


def share_right(items: list[Item], given: list[Reply]) -> float:
    return statistics.fmean(right(item, reply) for item, reply in zip(items, given, strict=True))


def usual_tokens(items: list[Item], natural: list[Reply]) -> dict[str, float]:
    """The median length of the uncut thoughts about problems of each family."""
    families: dict[str, list[int]] = {}
    for item, reply in zip(items, natural, strict=True):
        families.setdefault(item["family"], []).append(reply.usage.thinking_tokens)
    return {family: statistics.median(tokens) for family, tokens in families.items()}


def stopped_at(natural: list[Reply], budgets: list[int]) -> tuple[list[Reply], float]:
    """The uncut replies, no answer where the thought was longer than the budget; their share."""
    pairs = list(zip(natural, budgets, strict=True))
    within = [reply.usage.thinking_tokens <= budget for reply, budget in pairs]
    stopped = [
        reply if fits else replace(reply, boxed=None)
        for reply, fits in zip(natural, within, strict=True)
    ]
    return stopped, 1 - statistics.fmean(within)


def cut_at(reasoner: Reasoner, items: list[Item], budgets: list[int]) -> dict[str, list[Reply]]:
    """The replies by each way to end the thoughts at these lengths."""
    start = asker(reasoner, items, lambda _: {"landing": ""})
    ways = {"tag": run(lambda i: CutAt(start(i), budgets[i]), len(items))}
    for way, landing in LANDINGS.items():
        limits: Callable[[int], dict[str, Any]] = lambda i, text=landing: {  # noqa: E731
            "thinking_budget": budgets[i],
            "landing": text,
        }
        ways[way] = replies(reasoner, items, limits)
    return ways


def accuracy(reasoner: Reasoner, items: list[Item]) -> Result:
    """Accuracy of each way to end a thought at each share of the usual length.

    "stop" is the whole reply if its thought ended by itself within the budget, and else no answer:
    what a limit on tokens alone gives. It is read off the uncut runs, as nothing is put in; the
    tokens of the answer are not counted. "tag" puts in the closing tag and the blank line wherever
    the thought is when the budget is used up, `LANDINGS` wait for the end of a line, at most
    `landing.GRACE_TOKENS`.
    """
    natural = replies(reasoner, items, lambda _: {})
    usual = usual_tokens(items, natural)
    lengths = [usual[item["family"]] for item in items]
    ways: dict[str, dict[str, list[float]]] = {
        way: {"right": [], "cut": [], "answer_tokens": []} for way in ("stop", "tag", *LANDINGS)
    }
    for share in SHARES:
        budgets = [round(length * share) for length in lengths]
        stopped, cut = stopped_at(natural, budgets)
        ways["stop"]["right"].append(share_right(items, stopped))
        ways["stop"]["cut"].append(cut)
        for way, given in cut_at(reasoner, items, budgets).items():
            by_hand_or_budget = [reply.thinking_end in ("user", "budget") for reply in given]
            answer_tokens = [reply.usage.answer_tokens for reply in given]
            ways[way]["right"].append(share_right(items, given))
            ways[way]["cut"].append(statistics.fmean(by_hand_or_budget))
            ways[way]["answer_tokens"].append(statistics.fmean(answer_tokens))
    return {
        "items": len(items),
        "shares": SHARES,
        "ways": ways,
        "uncut": share_right(items, natural),
        "usual_tokens": usual,
    }


class CutAt:
    """A stream whose thought is ended when it has so many tokens.

    Others that share its batch may let it have one or two more.
    """

    def __init__(self, stream: Stream, tokens: int) -> None:
        self._stream, self._tokens = stream, tokens
        self._ended = False

    def __next__(self) -> list[Event]:
        if self._ended:
            raise StopIteration
        if self._stream.thinking_tokens >= self._tokens:
            self._stream.finish_thinking()
        events = self._stream.poll()
        self._ended = any(isinstance(event, Done) for event in events)
        return events

    @property
    def reply(self) -> Reply:
        return self._stream.reply


def effort(reasoner: Reasoner, items: list[Item]) -> Result:
    """Accuracy and mean tokens of thinking at each level."""
    levels = {}
    for level in EFFORT_TOKENS:
        given = replies(reasoner, items, lambda _, level=level: {"effort": level})
        thought = statistics.fmean(reply.usage.thinking_tokens for reply in given)
        levels[level] = {"right": share_right(items, given), "thinking_tokens": thought}
    return {"items": len(items), "levels": levels}


def answers(reasoner: Reasoner, items: list[Item]) -> Result:
    """What becomes of replies under every budget, with tiny and with random weights.

    The thoughts of these never end.
    """
    per_budget = max(1, len(items) // len(BUDGETS))
    jobs = [
        (budget, items[(budget * per_budget + more) % len(items)])
        for budget in BUDGETS
        for more in range(per_budget)
    ]
    asked = [item for _, item in jobs]
    measured = {"tiny": fates(replies(reasoner, asked, lambda i: {"thinking_budget": jobs[i][0]}))}
    with minireason.load(shape_file("small"), n_seq_max=STREAMS, n_threads=1) as anything:

        def limits(i: int) -> dict[str, Any]:
            return {
                "thinking_budget": jobs[i][0],
                "max_tokens": jobs[i][0] + ANSWER_TOKENS,
                "temperature": 1.0,
            }

        measured["random weights"] = fates(replies(anything, asked, limits))
    return {"budgets": len(BUDGETS), **measured}


def fates(given: list[Reply]) -> Result:
    """How many replies have an answer, what is wrong with the rest, and how the thoughts ended."""
    wrong: Counter[str] = Counter()
    for reply in given:
        if not reply.answer.strip():
            wrong[f"empty answer, {reply.finish_reason}"] += 1
        if "think>" in reply.answer:
            wrong["tag in the answer"] += 1
    answered = sum(bool(reply.answer.strip()) for reply in given)
    return {
        "replies": len(given),
        "answered": answered,
        "wrong": dict(wrong),
        "ends": dict(Counter(str(r.thinking_end) for r in given)),
    }


def loop_detector(reasoner: Reasoner, items: list[Item]) -> Result:
    """Recall, false alarms and cost of the loop detector.

    The thoughts are tiny's own, at the usual and at a high temperature.
    """
    uncut = [
        replies(reasoner, items, lambda _, t=t: {"temperature": t, "loop_check": False})
        for t in (0.6, 1.0)
    ]
    thoughts = [
        reply.thinking for given in uncut for reply in given if reply.thinking_end == "natural"
    ]
    return loops.measure(thoughts, decode_seconds(reasoner))


def valid_answers(reasoner: Reasoner, items: list[Item]) -> Result:
    """Structured answers at temperature 1, of tiny and of random weights."""

    def some(of: Reasoner, count: int, settings: Callable[[int], dict[str, Any]]) -> list[Reply]:
        return replies(of, [items[i % len(items)] for i in range(count)], settings)

    with minireason.load(shape_file("small"), n_seq_max=STREAMS, n_threads=1) as anything:
        return {
            "tiny": structured.validity(reasoner, some, None),
            "random weights": structured.validity(anything, some, 50),
        }


def decode_seconds(reasoner: Reasoner) -> dict[str, float]:
    """Seconds a token of one stream alone.

    Of tiny, and of random weights in the shape of the 1.5B distill.
    """
    alone = [
        reasoner.ask("What is 47 * 86?", seed=seed).timings.tokens_per_s or 0.0 for seed in range(5)
    ]
    with minireason.load(shape_file("r1-qwen-1.5b")) as large:
        speed = large.ask("What is 47 * 86?", seed=1, max_tokens=32).timings.tokens_per_s or 0.0
    return {"tiny": 1 / statistics.median(alone), "1.5B": 1 / speed}


PARTS: dict[str, Callable[[Reasoner, list[Item]], Result]] = {
    "accuracy": accuracy,
    "effort": effort,
    "answers": answers,
    "loops": loop_detector,
    "schema": valid_answers,
    "speed": lambda _reasoner, _items: structured.slowdown(str(shape_file("r1-qwen-1.5b"))),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", default="test", choices=("dev", "test"))
    parser.add_argument(
        "--items", type=int, default=25, help="problems of each of the eight families"
    )
    parser.add_argument("--parts", nargs="+", choices=tuple(PARTS), default=tuple(PARTS))
    parser.add_argument(
        "--results",
        type=Path,
        help="JSON file of earlier parts; what is measured now is added to it",
    )
    parser.add_argument("--plot", type=Path, help="PNG file to draw")
    arguments = parser.parse_args()
    results: dict[str, Result] = {}
    if arguments.results and arguments.results.exists():
        results = json.loads(arguments.results.read_text("utf-8"))
    items = read(arguments.set, arguments.items)
    with minireason.load("tiny", n_seq_max=STREAMS, n_threads=1) as reasoner:
        for part in arguments.parts:
            results[part] = PARTS[part](reasoner, items)
            if arguments.results:
                arguments.results.write_text(json.dumps(results), "utf-8")
    print(thinking_report.table({part: results[part] for part in PARTS if part in results}))
    if arguments.plot and "accuracy" in results:
        thinking_report.plot(results["accuracy"], arguments.plot)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
