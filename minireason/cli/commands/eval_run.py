"""Running the chains of an evaluation that are missing, or reading those of an earlier one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from minireason.cli import wording
from minireason.cli.commands.eval_options import Evaluation
from minireason.cli.commands.run_model import RunModel, telling_what_is_kept
from minireason.cli.options import Asked
from minireason.cli.remote import Remote
from minireason.cli.terminal import notes

if TYPE_CHECKING:
    from minireason.evaluation.items import Item, ItemSet
    from minireason.evaluation.run import Runner
    from minireason.evaluation.traces import Run, Traces


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
    """What is to be run of a set with one model: chains as `Traces.missing` gives them.

    `others`: there are items of which nothing is missing.
    """

    model: RunModel
    traces: Traces
    missing: list[tuple[Item, int, bool]]
    others: bool


def replayed(path: Path, how: Evaluation) -> Done:
    """The traces of an earlier run; raises UsageError."""
    from minireason.evaluation import report as reports
    from minireason.evaluation import traces as tracing

    traces = tracing.load(path)
    if traces.damaged:
        notes.error_line(f"{traces.damaged} damaged lines of {path} are left out.")
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
    """Run what is missing with this model."""
    from minireason.evaluation import traces as tracing
    from minireason.runs import alone

    items, samples = item_set.items[: how.limit], how.samples or 1
    own = identity(model, item_set, how, asked)
    path = how.output or tracing.default_path(own)
    refused: dict[int, str] = {}
    finished = True
    with alone(path, "eval"):
        traces = tracing.resume(path, own)
        missing = traces.missing(items, samples)
        if not quiet:
            total = len(items) * samples
            notes.note(f"{len(missing):,} of {total:,} chains to run; traces: {path}")
        if missing:
            others = len({item.number for item, _, _ in missing}) < len(items)
            task = Task(model, traces, missing, others)
            with telling_what_is_kept(lambda: kept(traces)):
                refused, finished = generate(task, how, asked, quiet=quiet)
    asked_items = [item for item in items if item.number not in refused]
    return Done(traces, asked_items, samples, item_set.broken | refused, finished)


def identity(model: RunModel, item_set: ItemSet, how: Evaluation, asked: Asked) -> Run:
    """What makes this run itself; the seed is None if it was not said."""
    from minireason.evaluation.traces import Run
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
    task: Task, how: Evaluation, asked: Asked, *, quiet: bool
) -> tuple[dict[int, str], bool]:
    """Open the model and run these chains.

    Returns what is wrong with items that cannot be asked, by line, and whether all has been run.
    If no item can be asked, and no other has been, this raises what is wrong with the first.
    """
    from minireason.evaluation.run import Runner

    parallel, vote = how.batch_size, (how.samples or 1) > 1
    runner = Runner(task.model.open().backend, task.traces.run, asked.settings, vote=vote)
    refused = _refused(runner, task)
    missing = [entry for entry in task.missing if entry[0].number not in refused]
    ended = _write_chains(runner, replace(task, missing=missing), how, quiet=quiet)
    if parallel != "auto" and runner.parallel < min(parallel, len(missing)):
        notes.error_line(
            f"There is no room for {parallel} chains at a time, so {runner.parallel} ran at a time."
        )
    return refused, ended == len(missing)


def _refused(runner: Runner, task: Task) -> dict[int, str]:
    """What is wrong with items that cannot be asked, by line, in the command line's words."""
    items = list({item.number: item for item, _, _ in task.missing}.values())
    names = wording.option_names(Asked, Evaluation)
    refused = runner.refused(items, others=task.others)
    return {number: wording.as_typed(error, names) for number, error in refused.items()}


def _write_chains(runner: Runner, task: Task, how: Evaluation, *, quiet: bool) -> int:
    """Run chains, write each to the traces as it ends, and return how many ended for good."""
    from minireason.cli.terminal.meter import Meter
    from minireason.cli.terminal.show import interrupts
    from minireason.evaluation.traces import Writer

    ended = 0
    with (
        interrupts(runner.cancel),
        Writer(task.traces) as writer,
        Meter(len(task.missing), "chains", quiet=quiet) as meter,
    ):
        for chain in runner.chains(task.missing, how.batch_size):
            if chain:
                writer.write(*chain)
                ended += not (chain[1].replaced and runner.vote)
            meter.show(ended, runner.tokens)
    return ended
