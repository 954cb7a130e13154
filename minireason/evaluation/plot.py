"""Draw a report: accuracy against tokens for each stopping rule, agreement against correctness."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from minireason import picture
from minireason.errors import UsageError
from minireason.evaluation.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def check(path: Path, samples: int | None) -> None:
    """Raise UsageError if nothing can be drawn there, before hours are spent on its chains.

    `samples` None is any number.
    """
    if samples == 1:
        raise UsageError(
            "A plot is of votes, and there is only one chain for each item; ask for more with "
            "--samples."
        )
    picture.check(path)


def draw(report: Report, path: Path) -> None:
    """Write the picture; raises UsageError if it cannot be written."""
    check(path, report.samples)
    figure = picture.figure(10, 4.5)
    costs, trust = figure.subplots(1, 2)
    _costs(costs, report)
    _trust(trust, report)
    sizes = f"{report.items} items, {report.samples} chains each"
    figure.suptitle(f"{report.run.model} on {report.run.set}: {sizes}")
    picture.write(figure, path)


def _costs(axes: Axes, report: Report) -> None:
    """A line for each rule, a point for each number of chains, 95% intervals."""
    alone = 100 * report.pass_at_1.value
    axes.axhline(alone, linestyle=":", color="grey", label="one chain (pass@1)")
    for stop, marker, label in (
        ("none", "o", (4, -11)),
        ("lead", "s", None),
        ("beta", "^", (-8, 7)),
    ):
        policies = [policy for policy in report.policies if policy.stop == stop]
        estimates = [policy.accuracy for policy in policies]
        values = [100 * estimate.value for estimate in estimates]
        spread = [
            [max(0.0, 100 * (estimate.value - estimate.low)) for estimate in estimates],
            [max(0.0, 100 * (estimate.high - estimate.value)) for estimate in estimates],
        ]
        axes.errorbar(
            [policy.tokens for policy in policies],
            values,
            yerr=spread,
            marker=marker,
            capsize=2,
            label=stop,
        )
        if label is None:
            continue
        for policy, value in zip(policies, values, strict=True):
            axes.annotate(
                str(policy.samples),
                (policy.tokens, value),
                textcoords="offset points",
                xytext=label,
                fontsize=7,
            )
    axes.set(
        xlabel="tokens per item, those of stopped chains too",
        ylabel="right answers, %",
        title="What a vote costs and gains",
    )
    axes.legend()


def _trust(axes: Axes, report: Report) -> None:
    """Reliability: a point for each tenth of agreement, as large as the items in it are many."""
    axes.plot([0, 100], [0, 100], linestyle=":", color="grey")
    bins = report.reliability
    sizes = [30 + 300 * one.items / report.items for one in bins]
    axes.plot([100 * one.agreement for one in bins], [100 * one.right for one in bins], color="C0")
    axes.scatter(
        [100 * one.agreement for one in bins],
        [100 * one.right for one in bins],
        s=sizes,
        color="C0",
        alpha=0.6,
    )
    for one in bins:
        axes.annotate(
            str(one.items),
            (100 * one.agreement, 100 * one.right),
            ha="center",
            va="center",
            fontsize=7,
        )
    axes.set(
        xlabel="agreement of the chains, %",
        ylabel="right answers, %",
        title="How far agreement can be believed",
        xlim=(-3, 105),
        ylim=(-3, 105),
    )
