"""Running the chains of an evaluation that are missing, or reading those of an earlier one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from minireason.cli import wording
from minireason.cli.commands.eval_options import Evaluation
from minireason.cli.commands.run_model import RunModel, say_what_there_is, telling_what_is_kept
from minireason.cli.options import Asked
from minireason.cli.remote import Remote
from minireason.cli.terminal import notes

if TYPE_CHECKING:
    from minireason.errors import MinireasonError
    from minireason.evaluation.items import Item, ItemSet
    from minireason.evaluation.run import Runner
    from minireason.evaluation.trace_format import Run
    from minireason.evaluation.traces import Traces


@dataclass(frozen=True, slots=True)
class Done:
    """What there is after a run: `broken` says by line what is wrong with those left out."""

    traces: Traces
    items: Sequence[Item]
    samples: int
    broken: dict[int, str]
    finished: bool


@dataclass(frozen=True, slots=True)
class Task:
    """What there is of a run, and of its `total` of chains those that are missing."""

    traces: Traces
    missing: list[tuple[Item, int, bool]]
    total: int

    @property
    def done(self) -> int:
        """How many chains need not be run."""
        return self.total - len(self.missing)


def replayed(path: Path, how: Evaluation) -> Done:
    """The traces of an earlier run; raises UsageError."""
    from minireason.evaluation import report as reports
    from minireason.evaluation import traces as tracing

    traces = tracing.load(path)
    if traces.damaged:
        lines = "line is" if traces.damaged == 1 else "lines are"
        notes.error_line(f"{traces.damaged:,} damaged {lines} left out of {path}.")
    samples = how.samples or reports.most_samples(traces)
    return Done(traces, list(traces.items.values()), samples, {}, finished=True)


def run(file: Path, how: Evaluation, asked: Asked, remote: Remote, *, quiet: bool) -> Done:
    """Run what is missing of a set's chains.

    Raises UsageError if the traces are another run's, or StoreError.
    """
    from minireason.evaluation import items as sets

    item_set = sets.read(file)
    if asked.temperature == 0 and (how.samples or 1) > 1:
        notes.error_line("At temperature 0 all chains of an item are the same, so one is run.")
        how = replace(how, samples=1)
    with RunModel(asked, remote, how.batch_size) as model:
        return _run(model, item_set, how, asked, quiet=quiet)


def _run(model: RunModel, item_set: ItemSet, how: Evaluation, asked: Asked, *, quiet: bool) -> Done:
    """Run what is missing with this model; raises why none of the items can be asked."""
    from minireason.evaluation import traces as tracing
    from minireason.runs import alone

    items, samples = item_set.items[: how.limit], how.samples or 1
    own = identity(model, item_set, how, asked)
    path = how.output or tracing.default_path(own)
    refused: dict[int, MinireasonError] = {}
    finished = True
    with alone(path, "eval"):
        traces = tracing.resume(path, own)
        task = Task(traces, traces.missing(items, samples), len(items) * samples)
        if not quiet:
            say_what_there_is("chains", path, task.done, task.total, traces.damaged)
            if how.output is None and not task.done:
                notes.note(f"The chains are written to {path}.")
        if task.missing:
            with telling_what_is_kept(lambda: kept(traces)):
                refused, finished = generate(model, task, how, asked, quiet=quiet)
    asked_items = [item for item in items if item.number not in refused]
    if refused and not asked_items:
        raise next(iter(refused.values()))
    names = wording.option_names(Asked, Evaluation)
    broken = {number: wording.as_typed(error, names) for number, error in refused.items()}
    return Done(traces, asked_items, samples, item_set.broken | broken, finished)


def identity(model: RunModel, item_set: ItemSet, how: Evaluation, asked: Asked) -> Run:
    """What makes this run itself; the seed is None if it was not said."""
    from minireason.evaluation.trace_format import Run
    from minireason.runs import settings_of
    from minireason.voting.chain import instruction_for

    return Run(
        model=model.label,
        model_sha256=model.sha256(),
        set=item_set.name,
        set_sha256=item_set.sha256,
        seed=asked.seed,
        system=asked.system,
        instruction=instruction_for(
            how.instruction, bare=model.bare_questions, structured=asked.structured
        ),
        settings=settings_of(asked.settings, model.defaults),
    )


def kept(traces: Traces) -> str:
    """How many chains there are, and where."""
    return f"{len(traces.chains):,} chains in {traces.path}"


def generate(
    model: RunModel, task: Task, how: Evaluation, asked: Asked, *, quiet: bool
) -> tuple[dict[int, MinireasonError], bool]:
    """Open the model and run the chains that are missing, writing each as it ends.

    Returns what is wrong with items that cannot be asked, by line, and whether all has been run.
    """
    from minireason.backends.pool import Refused
    from minireason.cli.terminal.meter import Meter
    from minireason.cli.terminal.show import interrupts
    from minireason.evaluation.run import Runner
    from minireason.evaluation.traces import Writer

    vote, done = (how.samples or 1) > 1, task.done
    refused: dict[int, MinireasonError] = {}
    runner = Runner(model.open().backend, task.traces.run, asked.settings, vote=vote)
    with (
        interrupts(runner.cancel),
        Writer(task.traces) as writer,
        Meter(task.total, "chains", done=done, quiet=quiet) as meter,
    ):
        for result in runner.chains(task.missing, how.batch_size):
            if isinstance(result, Refused):
                refused.setdefault(result.job.item.number, result.error)
                done += 1
            elif result:
                writer.write(*result)
                done += not (vote and result[1].replaced)
            meter.show(done, runner.tokens)
    _say_how_many_ran(runner, task, how.batch_size)
    return refused, runner.finished


def _say_how_many_ran(runner: Runner, task: Task, parallel: int | Literal["auto"]) -> None:
    if parallel != "auto" and runner.parallel < min(parallel, len(task.missing)):
        notes.error_line(
            f"There is no room for {parallel} chains at a time, so {runner.parallel} ran at a time."
        )
