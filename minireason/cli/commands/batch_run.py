"""Running the replies of a batch that are missing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, cast

from minireason.cli import wording
from minireason.cli.commands.batch_options import Batching
from minireason.cli.commands.run_model import RunModel, telling_what_is_kept
from minireason.cli.options import Asked
from minireason.cli.remote import Remote
from minireason.cli.terminal import notes
from minireason.cli.terminal.progress import Progress
from minireason.errors import BadSetting, MinireasonError

if TYPE_CHECKING:
    from minireason.batch.jobs import Job
    from minireason.batch.lines import Facts
    from minireason.batch.local import Runner
    from minireason.batch.output import Output, Run
    from minireason.batch.ray import Runner as RayRunner
    from minireason.cli.terminal.meter import Meter
    from minireason.reasoner import Reasoner
    from minireason.settings import Changes


@dataclass(frozen=True, slots=True)
class Done:
    """What there is after a run."""

    output: Output
    left_out: int
    """How many lines have been named as broken, or as none that this model can be asked."""

    finished: bool
    tokens: int = 0
    """How many were generated in this run, in how many seconds."""

    seconds: float = 0.0


class Batch:
    """One run of the command."""

    def __init__(self, file: Path, how: Batching, asked: Asked, remote: Remote) -> None:
        self._file, self._how, self._asked, self._remote = file, how, asked, remote
        self._names = wording.option_names(Asked, Batching)
        self._left_out: set[int] = set()
        self._meter: Meter | None = None

    def run(self) -> Done:
        """Run what is missing.

        Raises UsageError, StoreError and what loading or connecting raises.
        """
        from minireason.batch import jobs, lines, output
        from minireason.runs import alone

        output.check_paths(self._file, self._how.output)
        with ExitStack() as stack:
            model = RunModel(self._asked, self._remote, self._how.batch_size)
            stack.enter_context(model)
            stack.enter_context(alone(self._how.output, "batch"))
            facts = self._facts()
            replies = output.resume(self._how.output, self._identity(model, facts.sha256))
            stack.callback(replies.done.close)
            self._say_what_there_is(replies, facts.lines)
            changes = cast("Changes", {**self._asked.settings, "seed": None})
            defaults = jobs.Defaults(
                model.defaults.changed(changes),
                self._asked.system,
                replies.run.seed or 0,
                self._how.replies_each,
            )
            todo = jobs.jobs(lines.read(self._file), defaults, replies.done, self._leave_out)
            first = list(islice(todo, 1))
            if not first:
                with output.Writer(replies):  # which makes the file, or cuts off a torn line
                    return Done(replies, len(self._left_out), finished=True)
            with telling_what_is_kept(lambda: kept(replies)):
                return self._generate(model, replies, chain(first, todo), facts.lines)

    def _facts(self) -> Facts:
        from minireason.batch import lines

        progress = Progress()
        progress.say(f"reading {self._file.name} ...")
        try:
            return lines.facts(self._file)
        finally:
            progress.clear()

    def _identity(self, model: RunModel, input_sha256: str) -> Run:
        """What makes this run itself; the seed is None if it was not said."""
        from minireason.batch.output import Run
        from minireason.runs import settings_of

        return Run(
            model=model.label,
            model_sha256=model.sha256(),
            input_sha256=input_sha256,
            seed=self._asked.seed,
            system=self._asked.system,
            settings=settings_of(self._asked.settings, model.defaults),
        )

    def _say_what_there_is(self, replies: Output, lines: int) -> None:
        if replies.damaged:
            notes.error_line(f"{replies.damaged} damaged lines of {replies.path} are left alone.")
        if replies.replies:
            total = lines * self._how.replies_each
            notes.note(f"{replies.replies:,} of {total:,} replies are in {replies.path} already.")

    def _generate(self, model: RunModel, replies: Output, todo: Iterator[Job], lines: int) -> Done:
        """Open the model, here or on Ray, and run the jobs."""
        from minireason.cli.terminal.meter import Meter

        total = lines * self._how.replies_each
        with ExitStack() as stack:
            runner: Runner | RayRunner
            if self._how.ray is None:
                runner = self._here(model)
            else:
                runner = self._on_ray(model, replies.run.model_sha256, stack)
            self._meter = stack.enter_context(Meter(total, "replies", done=replies.replies))
            began = time.monotonic()
            finished = self._write(runner, todo, replies, total)
            seconds = time.monotonic() - began
        return Done(replies, len(self._left_out), finished, runner.tokens, seconds)

    def _here(self, model: RunModel) -> Runner:
        """Open the model in this process, or the one of a server."""
        from minireason.batch.local import Runner

        reasoner = model.open()
        self._check(reasoner)
        return Runner(reasoner.backend, in_order=self._how.in_order)

    def _on_ray(self, model: RunModel, sha256: str, stack: ExitStack) -> RayRunner:
        """Join the cluster; the workers load the model, or ask the server."""
        from minireason.cli.commands.batch_ray import Workers

        if self._remote.url is not None:
            self._check(model.open())
        return Workers(self._how, self._asked, self._remote, model, sha256).join(stack)

    def _check(self, reasoner: Reasoner) -> None:
        """Raise what would be wrong with every line."""
        reasoner.backend.check(reasoner.defaults.changed(cast("Changes", self._asked.settings)))

    def _write(
        self, runner: Runner | RayRunner, todo: Iterator[Job], replies: Output, total: int
    ) -> bool:
        """Write each reply as it ends; whether the run came to its own end."""
        from minireason.batch.local import Answered
        from minireason.batch.output import Writer
        from minireason.cli.terminal.show import interrupts

        numbered = self._how.replies_each > 1
        most = max(1, total - replies.replies)
        with interrupts(runner.cancel), Writer(replies) as writer:
            for result in runner.results(todo, self._how.batch_size, most):
                if isinstance(result, Answered):
                    writer.write(result.json(numbered=numbered), result.reply.finish_reason)
                elif result:
                    self._leave_out(result.job.item.number, result.error)
                self._show(replies, runner.tokens)
        return runner.finished

    def _show(self, replies: Output, tokens: int) -> None:
        if self._meter:
            left_out = len(self._left_out) * self._how.replies_each
            self._meter.show(replies.replies + left_out, tokens)

    def _leave_out(self, number: int, problem: MinireasonError) -> None:
        """Name a line that is not answered, once, whatever its number of samples."""
        if number in self._left_out:
            return
        self._left_out.add(number)
        own = isinstance(problem, BadSetting)  # of the line's, which is not typed as an option
        said = str(problem) if own else wording.as_typed(problem, self._names)
        say = self._meter.say if self._meter else notes.error_line
        say(f"Line {number} of {self._file.name} is left out: {said}")


def kept(output: Output) -> str:
    """How many replies there are, and where."""
    return f"{output.replies:,} repl{'y' if output.replies == 1 else 'ies'} in {output.path}"


def run(file: Path, how: Batching, asked: Asked, remote: Remote) -> Done:
    """Answer the lines of a file that have no reply yet.

    Raises UsageError if the output is another run's, StoreError if it cannot be written, and what
    loading a model or connecting to one raises.
    """
    return Batch(file, how, asked, remote).run()
