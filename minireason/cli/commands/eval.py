"""minireason eval: questions with known answers, and how many of them a model gets right."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minireason.cli import idle
from minireason.cli.commands.solve import Batch, room_for
from minireason.cli.grouped import expand
from minireason.cli.options import Asked
from minireason.cli.terminal import notes, output
from minireason.cli.terminal.progress import Progress
from minireason.errors import BadSetting, UsageError
from minireason.models import catalog, store
from minireason.settings import VoteSettings

if TYPE_CHECKING:
    from minireason.evaluation.items import Item, ItemSet
    from minireason.evaluation.report import Report
    from minireason.evaluation.traces import Run, Traces


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation(Batch):
    """The options of an evaluation; None where the user said nothing."""

    samples: Annotated[
        int | None,
        typer.Option(
            "--samples",
            "-n",
            help="Chains for each item. Default: 1; with --replay all there are.",
            show_default=False,
        ),
    ] = None
    limit: Annotated[
        int | None, typer.Option(help="Only the first items of the set.", show_default=False)
    ] = None
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Where the chains are kept. Default: a file in the data directory.",
            show_default=False,
        ),
    ] = None

    def __post_init__(self) -> None:
        VoteSettings(**self.changes)
        if self.limit is not None and (not isinstance(self.limit, int) or self.limit < 1):
            raise BadSetting("limit", self.limit, "has to be a whole number, 1 or more")


@dataclass(frozen=True, slots=True)
class _Done:
    """What there is after a run: `broken` says by line what is wrong with the lines that were left out."""

    traces: Traces
    items: Sequence[Item]
    samples: int
    broken: dict[int, str]
    finished: bool


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
    replay: Annotated[
        Path | None,
        typer.Option(
            help="Generate nothing: what each stopping rule would have cost and answered, by these traces.",
            show_default=False,
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="Draw accuracy against tokens and agreement against correctness (.png, .svg, .pdf).",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object with all scores.")
    ] = False,
) -> int:
    """Measure how many questions of a set a model gets right.

    It is measured for single chains of thought, and for votes of several.

    A run that was stopped goes on when the same command is given again.
    """
    from minireason.evaluation import plot as drawing
    from minireason.evaluation import report as reports

    if plot:
        drawing.check(plot, samples=how.samples if replay else how.samples or 1)
    if replay:
        if (
            file
            or how.output
            or how.limit
            or how.instruction
            or asked != Asked(offline=asked.offline)
        ):
            raise UsageError(
                "--replay reads what is there; beside it only --samples, --parallel, --plot and --json mean anything."
            )
        done = replayed(replay, how)
    elif file:
        done = run(file, how, asked, quiet=as_json)
    else:
        raise UsageError(
            "There is no set; give a JSONL file with questions and answers, or --replay and the traces of an earlier run."
        )
    for number, problem in done.broken.items():
        notes.error_line(f"Line {number} of {done.traces.run.set} is left out: {problem}")
    if not done.finished:
        notes.error_line(
            f"Stopped with {len(done.traces.chains):,} chains in {done.traces.path}; the same command goes on."
        )
        return 130
    parallel = how.changes.get("parallel", "auto")
    report = reports.of(
        done.traces,
        done.items,
        done.samples,
        policies=bool(replay or plot),
        parallel=None if parallel == "auto" else parallel,
    )
    if plot:
        drawing.draw(report, plot)
    show(report, done, as_json=as_json)
    return 7 if done.broken else 0


def show(report: Report, done: _Done, *, as_json: bool) -> None:
    """Print the report."""
    from minireason.cli.terminal import evaluation_report

    if as_json:
        print(
            output.json_line(
                {"traces": str(done.traces.path), **asdict(report), "broken": done.broken}
            )
        )
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


def replayed(path: Path, how: Evaluation) -> _Done:
    """The traces of an earlier run; raises UsageError."""
    from minireason.evaluation import report as reports
    from minireason.evaluation import traces as tracing

    traces = tracing.load(path)
    if traces.damaged:
        notes.error_line(f"{traces.damaged} damaged lines of {path} are left out.")
    return _Done(
        traces,
        list(traces.items.values()),
        how.samples or reports.most_samples(traces),
        {},
        finished=True,
    )


def run(file: Path, how: Evaluation, asked: Asked, *, quiet: bool) -> _Done:
    """Run what is missing of a set's chains; raises UsageError if the traces are another run's, or StoreError."""
    from minireason.evaluation import items as sets
    from minireason.evaluation import traces as tracing

    found = sets.read(file)
    items = found.items[: how.limit]
    if asked.temperature == 0 and (how.samples or 1) > 1:
        notes.error_line("At temperature 0 all chains of an item are the same, so one is run.")
        how = replace(how, samples=1)
    samples = how.samples or 1
    name = asked.model_name()
    wanted = identity(name, found, how, asked)
    path = how.output or tracing.default_path(wanted)
    with tracing.alone(path):
        traces = tracing.resume(path, wanted)
        missing = traces.missing(items, samples)
        if not quiet:
            notes.note(
                f"{len(missing):,} of {len(items) * samples:,} chains to run; traces: {path}"
            )
        others = len({item.number for item, _, _ in missing}) < len(items)
        refused, finished = (
            generate(name, traces, missing, how, asked, others=others, quiet=quiet)
            if missing
            else ({}, True)
        )
    return _Done(
        traces,
        [item for item in items if item.number not in refused],
        samples,
        found.broken | refused,
        finished,
    )


def identity(name: str, found: ItemSet, how: Evaluation, asked: Asked) -> Run:
    """What makes this run itself; the seed is None if it was not said."""
    from minireason.evaluation.run import settings_of
    from minireason.evaluation.traces import Run
    from minireason.voting.chain import instruction_for

    progress = Progress()
    file = store.find(name)
    progress.say(f"hashing {file.path.name} ...")
    try:
        return Run(
            model=file.label,
            model_sha256=store.fingerprint(file),
            set=found.name,
            set_sha256=found.sha256,
            seed=asked.seed,
            system=asked.system,
            instruction=instruction_for(file.label, how.instruction, structured=asked.structured),
            settings=settings_of(asked.settings, catalog.defaults(file.label)),
        )
    finally:
        progress.clear()


def generate(
    name: str,
    traces: Traces,
    missing: Sequence[tuple[Item, int, bool]],
    how: Evaluation,
    asked: Asked,
    *,
    others: bool,
    quiet: bool,
) -> tuple[dict[int, str], bool]:
    """Load the model and run these chains: what is wrong with items that cannot be asked, by line, and whether all has been run.

    If no item can be asked, and there are no `others` that have been, this raises what is wrong with the first.
    """
    from minireason.cli.terminal.evaluation_report import Meter
    from minireason.cli.terminal.show import interrupts
    from minireason.evaluation.run import Runner
    from minireason.evaluation.traces import Writer
    from minireason.reasoner import load

    parallel, progress = how.changes.get("parallel", "auto"), Progress()
    with ExitStack() as stack:
        stack.callback(progress.clear)
        progress.loading(name)
        reasoner = stack.enter_context(
            load(name, on_progress=progress.loaded_share, **room_for(parallel, asked.load))
        )
        idle.say(asked, reasoner, name)
        runner = Runner(reasoner.backend, traces.run, asked.settings, vote=(how.samples or 1) > 1)
        refused = runner.refused(
            list({item.number: item for item, _, _ in missing}.values()), others=others
        )
        missing = [entry for entry in missing if entry[0].number not in refused]
        progress.clear()
        stack.enter_context(interrupts(runner.cancel))
        meter = stack.enter_context(Meter(len(missing), quiet=quiet))
        writer, ended = Writer(traces), 0
        for found in runner.chains(missing, parallel):
            if found:
                writer.write(*found)
                ended += not (found[1].replaced and runner.vote)
            meter.show(ended, runner.tokens)
    if parallel != "auto" and runner.parallel < min(parallel, len(missing)):
        notes.error_line(
            f"There is no room for {parallel} chains at a time, so {runner.parallel} ran at a time."
        )
    return refused, ended == len(missing)
