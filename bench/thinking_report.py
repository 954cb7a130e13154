"""What `bench/thinking.py` measured, as tables and as a plot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import loops
import structured

Result: TypeAlias = dict[str, Any]


def percent(value: float) -> str:
    return f"{100 * value:.1f}"


def table(results: dict[str, Result]) -> str:
    """Markdown, a table for each part that was measured."""
    return "\n\n".join(TABLES[part](measured) for part, measured in results.items())


def accuracy_table(measured: Result) -> str:
    usual = ", ".join(
        f"{family} {tokens:.0f}" for family, tokens in measured["usual_tokens"].items()
    )
    head = (
        f"{measured['items']} problems, right answers in percent, "
        f"uncut {percent(measured['uncut'])}; usual lengths in tokens: {usual}"
    )
    lines = [
        head,
        "",
        "| budget | " + " | ".join(f"{share:.0%}" for share in measured["shares"]) + " |",
    ]
    lines.append("|---" + "|---:" * len(measured["shares"]) + "|")
    rows = (
        ("", "right", percent),
        (": thoughts cut", "cut", percent),
        (": answer tokens", "answer_tokens", "{:.0f}".format),
    )
    for title, key, shown in rows:
        for way, of in measured["ways"].items():
            if of[key]:
                lines.append(f"| {way}{title} | " + " | ".join(map(shown, of[key])) + " |")
    return "\n".join(lines)


def effort_table(measured: Result) -> str:
    lines = ["| effort | right | thinking tokens |", "|---|---:|---:|"]
    lines += [
        f"| {level} | {percent(of['right'])} | {of['thinking_tokens']:.0f} |"
        for level, of in measured["levels"].items()
    ]
    return "\n".join(lines)


def answers_table(measured: Result) -> str:
    lines = [f"every budget from 0 to {measured['budgets'] - 1}", ""]
    lines += ["| model | replies | with an answer | wrong | ends |", "|---|---:|---:|---|---|"]
    for model in ("tiny", "random weights"):
        of = measured[model]
        wrong, ends = (
            ", ".join(f"{name} {count}" for name, count in of[key].items()) or "nothing"
            for key in ("wrong", "ends")
        )
        lines.append(
            f"| {model} | {of['replies']} | {percent(of['answered'] / of['replies'])} "
            f"| {wrong} | {ends} |"
        )
    return "\n".join(lines)


TABLES: dict[str, Callable[[Result], str]] = {
    "accuracy": accuracy_table,
    "effort": effort_table,
    "answers": answers_table,
    "loops": loops.table,
    "schema": structured.validity_table,
    "speed": structured.slowdown_table,
}


def plot(measured: Result, path: Path) -> None:
    """Accuracy against budget, one line for each way."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = {
        "stop": "stop",
        "tag": "cut with </think>",
        "line": "landing, no message",
        "message": "landing with the default message",
    }
    figure, axes = pyplot.subplots(figsize=(5.6, 3.4), dpi=100)
    shares = [100 * share for share in measured["shares"]]
    for way, style in zip(names, ("o:", "s--", "^-", "v-"), strict=True):
        axes.plot(
            shares,
            [100 * value for value in measured["ways"][way]["right"]],
            style,
            label=names[way],
        )
    axes.axhline(100 * measured["uncut"], color="grey", linewidth=0.8, label="uncut")
    axes.set(
        xlabel="thinking budget, % of the usual length",
        ylabel="right answers, %",
        ylim=(-3, 103),
        title="tiny",
    )
    axes.legend(loc="lower right", fontsize="small")
    figure.tight_layout()
    figure.savefig(path)
