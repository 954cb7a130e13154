"""What a run came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from minireason.errors import UsageError
from minireason.evaluation import intervals, replay, score
from minireason.evaluation.intervals import Estimate
from minireason.evaluation.items import Item
from minireason.evaluation.replay import Policy
from minireason.evaluation.score import Bin, Sample
from minireason.evaluation.traces import Run, Traces


@dataclass(frozen=True, slots=True)
class Report:
    """Scores over all items that have all their chains; `left_out` have some, but not all.

    `majority[k - 1]` is a vote of k of the `samples` chains, with confidence where votes are equal; empty for one chain. `unanswered` and
    `cut_off` are the shares of first tries without an answer, and without an end. `tokens` were generated in all, in `seconds`.
    `policies` is empty unless asked for.
    """

    run: Run
    items: int
    left_out: int
    samples: int
    pass_at_1: Estimate
    majority: tuple[Estimate, ...]
    unanswered: float
    cut_off: float
    tokens: int
    seconds: float
    reliability: tuple[Bin, ...]
    policies: tuple[Policy, ...]


def most_samples(traces: Traces) -> int:
    """The largest number of chains that an item has."""
    return 1 + max((index for _, index in traces.chains), default=0)


def of(
    traces: Traces,
    items: Sequence[Item],
    samples: int,
    *,
    policies: bool = False,
    parallel: int | None = None,
) -> Report:
    """Score these items of a run with this many chains each; raises UsageError if none has as many."""
    tries = [(item, found) for item in items if (found := traces.tries(item, samples))]
    if not tries:
        raise UsageError(
            f"No item of {traces.path} has {samples} chains; ask for fewer with --samples, or run more of them first."
        )
    first = [chains[0] for _, found in tries for chains in found]
    structured = any(
        traces.run.settings.get(name) is not None for name in ("schema", "choices", "regex")
    )
    scored = [score.samples(item, found, structured=structured) for item, found in tries]
    return Report(
        run=traces.run,
        items=len(tries),
        left_out=sum((item.number, 0) in traces.chains for item in items) - len(tries),
        samples=samples,
        pass_at_1=intervals.share(
            [sum(sample.passed for sample in found) / samples for found in scored]
        ),
        majority=_majority(scored) if samples > 1 else (),
        unanswered=sum(chain.answer is None for chain in first) / len(first),
        cut_off=sum(chain.finish == "length" for chain in first) / len(first),
        tokens=sum(sample.tokens for found in scored for sample in found),
        seconds=traces.seconds,
        reliability=tuple(score.reliability(scored)) if samples > 1 else (),
        policies=tuple(replay.compare(scored, parallel)) if policies and samples > 1 else (),
    )


def _majority(scored: Sequence[Sequence[Sample]]) -> tuple[Estimate, ...]:
    ordered = score.orders(len(scored[0]))
    by_item = [score.majority(found, ordered) for found in scored]
    return tuple(intervals.share(values) for values in zip(*by_item, strict=True))
