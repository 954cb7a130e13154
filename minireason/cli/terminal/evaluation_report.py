"""The report of an evaluation: tables on standard output, what it took on standard error."""

from __future__ import annotations

from minireason.cli.terminal import notes, table
from minireason.cli.terminal.table import Columns
from minireason.evaluation.intervals import Estimate
from minireason.evaluation.report import Report

_EVERY_VOTE = 16

METHODS = {"wilson": "Wilson, items", "bootstrap": "bootstrap over items"}


def scores(report: Report) -> None:
    """pass@1 and the votes on standard output, what they took on standard error."""
    rows = [("pass@1", report.pass_at_1)]
    rows += [
        (f"majority@{votes}", estimate)
        for votes, estimate in enumerate(report.majority, 1)
        if votes > 1 and _shown(votes, report.samples)
    ]
    table.print_table(
        ["", "right", "95% interval", "by"],
        [
            [name, _percent(estimate.value), _interval(estimate), METHODS[estimate.method]]
            for name, estimate in rows
        ],
        Columns(left=(0, 3), drop=(3,)),
    )
    chains = report.items * report.samples
    facts = [
        f"{report.items:,} item{'' if report.items == 1 else 's'} of {report.run.set}",
        f"{report.samples} chain{'s' if report.samples > 1 else ''} each",
        f"{report.unanswered:.1%} without an answer, {report.cut_off:.1%} cut off",
        f"{report.tokens:,} tokens ({report.tokens / chains:,.0f} a chain)",
        f"{report.seconds:,.1f} s",
        report.run.model,
        f"temperature {report.run.settings.get('temperature')}",
        f"seed {report.run.seed}",
    ]
    notes.note(" · ".join(facts))


def policies(report: Report) -> None:
    """The stopping rules side by side, on standard output."""
    rows = [
        [
            policy.stop,
            str(policy.samples),
            str(policy.parallel),
            _percent(policy.accuracy.value),
            _interval(policy.accuracy),
            f"{100 * policy.difference.value:+.2f}",
            f"{100 * policy.difference.low:+.2f} to {100 * policy.difference.high:+.2f}",
            f"{policy.tokens:,.0f}",
            f"{policy.cancelled:,.0f}",
            f"{policy.share:.0%}",
            f"{policy.steps:,.0f}",
        ]
        for policy in report.policies
    ]
    difference = "less none", "95% interval"
    table.print_table(
        [
            "stop",
            "chains",
            "at a time",
            "right",
            "95% interval",
            *difference,
            "tokens",
            "stopped",
            "of none",
            "steps",
        ],
        rows,
        Columns(drop=(9, 2, 8, 6, 5, 7)),
    )


def _shown(votes: int, samples: int) -> bool:
    """Every vote of a few chains; of many, those of powers of two and of all."""
    return samples <= _EVERY_VOTE or votes == samples or votes & (votes - 1) == 0


def _percent(value: float) -> str:
    return f"{100 * value:.1f}%"


def _interval(estimate: Estimate) -> str:
    return f"{100 * estimate.low:.1f} to {100 * estimate.high:.1f}"
