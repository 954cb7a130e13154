"""Draw a benchmark: decoding against the length of the context, and chains side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from minireason import picture
from minireason.benchmark.report import Report
from minireason.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw(report: Report, path: Path) -> None:
    """Write the picture; raises UsageError if it cannot be written, or shows nothing."""
    picture.check(path)
    if not report.decode:
        raise UsageError("Nothing was measured that can be drawn; allow more --seconds.")
    figure = picture.figure(9, 3.8)
    if report.chains:
        contexts, chains = figure.subplots(1, 2)
        _chains(chains, report)
    else:
        contexts = figure.subplots()
    _contexts(contexts, report)
    threads = report.machine.n_threads
    figure.suptitle(f"{report.model}, {threads} thread{'s' if threads > 1 else ''}")
    picture.write(figure, path)


def _contexts(axes: Axes, report: Report) -> None:
    """Decoding by the context before it, with the number at each point."""
    rows = report.decode
    axes.plot([row.context_tokens for row in rows], [row.tokens_per_s for row in rows], marker="o")
    for row in rows:
        axes.annotate(
            _short(row.tokens_per_s),
            (row.context_tokens, row.tokens_per_s),
            textcoords="offset points",
            xytext=(5, 5),
            fontsize=8,
        )
    axes.set(xlabel="tokens of context", ylabel="tokens/s", title="Decode, one chain")
    axes.set(ylim=(0, 1.1 * max(row.tokens_per_s for row in rows)))
    axes.margins(x=0.12)


def _chains(axes: Axes, report: Report) -> None:
    """Tokens a second of all chains together, beside what one chain alone gives."""
    rows = report.chains
    names = [str(row.chains) for row in rows]
    bars = axes.bar(names, [row.tokens_per_s for row in rows], width=0.6)
    axes.bar_label(bars, [_short(row.tokens_per_s) for row in rows], fontsize=8)
    axes.axhline(rows[0].tokens_per_s, linestyle=":", color="grey")
    context = rows[0].context_tokens
    axes.set(
        xlabel="chains", ylabel="tokens/s of all together", title=f"Chains at {context:,} tokens"
    )
    axes.set(ylim=(0, 1.1 * max(row.tokens_per_s for row in rows)))


def _short(tokens_per_s: float) -> str:
    return f"{tokens_per_s:,.0f}" if tokens_per_s >= 100 else f"{tokens_per_s:.1f}"
