"""What a run came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from minireason.errors import UsageError
from minireason.evaluation import intervals, replay, score
from minireason.evaluation.intervals import Estimate
from minireason.evaluation.items import Item
from minireason.evaluation.replay import Policy
from minireason.evaluation.score import Bin, Sample
from minireason.evaluation.trace_format import Run
from minireason.evaluation.traces import Traces


@dataclass(frozen=True, slots=True)
class Report:
    """Scores of a run over all items that have all their chains."""

    run: Run
    """The run."""

    items: int
    """Items that are scored."""

    left_out: int
    """Items that have some of their chains, but not all."""

    samples: int
    """Chains of each item."""

    pass_at_1: Estimate
    """The share of chains that are right, a single reply each."""

    majority: tuple[Estimate, ...]
    """majority@k at k - 1: a vote of k of the chains, with confidence where votes are equal.

    Empty for one chain.
    """

    unanswered: float
    """The share of first tries without an answer."""

    cut_off: float
    """The share of first tries without an end."""

    tokens: int
    """Tokens that were generated in all."""

    seconds: float
    """How long that took."""

    reliability: tuple[Bin, ...]
    """Agreement against correctness; empty for one chain."""

    policies: tuple[Policy, ...]
    """Rules of early stopping; empty unless asked for."""


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
    """Score these items of a run with this many chains each.

    Raises UsageError if none has as many.
    """
    complete = [(item, tries) for item in items if (tries := traces.tries(item, samples))]
    if not complete:
        raise UsageError(
            f"No item of {traces.path} has {samples} chains; ask for fewer with --samples, or run "
            "more of them first."
        )
    first = [chains[0] for _, tries in complete for chains in tries]
    forms = ("schema", "choices", "regex")
    structured = any(traces.run.settings.get(name) is not None for name in forms)
    scored = [score.samples(item, tries, structured=structured) for item, tries in complete]
    passed = [fmean(sample.passed for sample in item) for item in scored]
    return Report(
        run=traces.run,
        items=len(complete),
        left_out=sum((item.number, 0) in traces.chains for item in items) - len(complete),
        samples=samples,
        pass_at_1=intervals.share(passed),
        majority=_majority(scored) if samples > 1 else (),
        unanswered=sum(chain.answer is None for chain in first) / len(first),
        cut_off=sum(chain.finish == "length" for chain in first) / len(first),
        tokens=sum(sample.tokens for item in scored for sample in item),
        seconds=traces.seconds,
        reliability=tuple(score.reliability(scored)) if samples > 1 else (),
        policies=tuple(replay.compare(scored, parallel)) if policies and samples > 1 else (),
    )


def _majority(scored: Sequence[Sequence[Sample]]) -> tuple[Estimate, ...]:
    ordered = score.orders(len(scored[0]))
    by_item = [score.majority(item, ordered) for item in scored]
    return tuple(intervals.share(values) for values in zip(*by_item, strict=True))
