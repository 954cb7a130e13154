"""minireason eval: questions with known answers, and how many of them a model gets right."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minireason.cli import outcome
from minireason.cli.commands import eval_run
from minireason.cli.commands.eval_options import Evaluation
from minireason.cli.commands.eval_run import Done
from minireason.cli.grouped import expand
from minireason.cli.options import Asked
from minireason.cli.remote import Remote
from minireason.cli.terminal import notes, output
from minireason.errors import UsageError, as_sentence

if TYPE_CHECKING:
    from minireason.evaluation.report import Report


@expand
def evaluate(
    file: Annotated[
        Path | None,
        typer.Argument(
            help='The set: lines like {"question": "2 + 2?", "answer": "4"}.', show_default=False
        ),
    ] = None,
    *,
    how: Evaluation,
    asked: Asked,
    remote: Remote,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object with all scores.")
    ] = False,
) -> int:
    """Measure how many questions of a set a model gets right.

    It is measured for single chains of thought, and for votes of several.

    A run that was stopped goes on when the same command is given again.
    """
    if how.plot:
        _check_plot(how.plot, how)
    done = _done(file, how, asked, remote, quiet=as_json)
    for number, problem in done.broken.items():
        notes.error_line(
            f"Line {number} of {done.traces.run.set} is left out: {as_sentence(problem)}"
        )
    if not done.finished:
        notes.error_line(f"Stopped with {eval_run.kept(done.traces)}; the same command goes on.")
        return outcome.INTERRUPTED
    show(_report(done, how), done, as_json=as_json)
    return outcome.PARTLY_DONE if done.broken else 0


def _check_plot(path: Path, how: Evaluation) -> None:
    """Raise what would keep the plot from being drawn, before hours of chains are run for it."""
    from minireason.evaluation import plot as drawing

    drawing.check(path, samples=how.samples if how.replay else how.samples or 1)


def _done(file: Path | None, how: Evaluation, asked: Asked, remote: Remote, *, quiet: bool) -> Done:
    """Run a set, or read the traces of an earlier run; raises UsageError."""
    if how.replay:
        how.check_replay(file, asked, remote)
        return eval_run.replayed(how.replay, how)
    if file:
        return eval_run.run(file, how, asked, remote, quiet=quiet)
    raise UsageError(
        "There is no set; give a JSONL file with questions and answers, or --replay and the "
        "traces of an earlier run."
    )


def _report(done: Done, how: Evaluation) -> Report:
    """All that the chains say; it is drawn too, where that was asked for."""
    from minireason.evaluation import plot as drawing
    from minireason.evaluation import report as reports

    report = reports.of(
        done.traces,
        done.items,
        done.samples,
        policies=bool(how.replay or how.plot),
        parallel=None if how.batch_size == "auto" else how.batch_size,
    )
    if how.plot:
        drawing.draw(report, how.plot)
    return report


def show(report: Report, done: Done, *, as_json: bool) -> None:
    """Print the report."""
    from minireason.cli.terminal import evaluation_report

    if as_json:
        whole = {"traces": str(done.traces.path), **asdict(report), "broken": done.broken}
        print(output.json_line(whole))
        return
    evaluation_report.scores(report)
    if report.policies:
        print()
        evaluation_report.policies(report)
    if report.left_out:
        items = f"{report.left_out} item{'s' if report.left_out > 1 else ''}"
        notes.note(
            f"Left out: {items} with fewer than {report.samples} chains; --samples sets the number."
        )
