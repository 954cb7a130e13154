"""Running the replies of a batch that are missing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from minireason.cli import wording
from minireason.cli.commands.batch_options import Batching
from minireason.cli.commands.run_model import RunModel, say_what_there_is, telling_what_is_kept
from minireason.cli.options import Asked
from minireason.cli.remote import Remote
from minireason.cli.terminal import notes
from minireason.cli.terminal.progress import Progress
from minireason.errors import BadSetting, MinireasonError, UsageError, as_sentence, shown

if TYPE_CHECKING:
    from minireason.batch.jobs import Defaults, Job
    from minireason.batch.lines import Facts
    from minireason.batch.local import Runner
    from minireason.batch.output import Output, Run
    from minireason.batch.ray import Runner as RayRunner
    from minireason.batch.refusals import Refusals
    from minireason.cli.terminal.meter import Meter


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
        from minireason.batch import forms, jobs, lines, output
        from minireason.batch.refusals import Refusals
        from minireason.runs import alone

        output.check_paths(self._file, self._how.output)
        form = forms.form_of(self._file)
        if self._how.replies_each > 1 and not form.samples:
            raise UsageError(
                "A line of OpenAI's batch API gets one reply, so there are no --samples; repeat "
                "the line with another custom_id."
            )
        with ExitStack() as stack:
            model = RunModel(self._asked, self._remote, self._how.batch_size)
            stack.enter_context(model)
            stack.enter_context(alone(self._how.output, "batch"))
            facts = self._facts()
            replies = output.resume(
                self._how.output, self._identity(model, facts.sha256, form.name)
            )
            stack.callback(replies.done.close)
            done, total = replies.replies, facts.lines * self._how.replies_each
            say_what_there_is("replies", replies.path, done, total, replies.damaged)
            defaults = self._defaults(model, replies.run.seed or 0)
            source = lines.read(self._file)
            todo = jobs.jobs(source, defaults, replies.done, self._leave_out, form.item)
            todo = self._telling_of_models(todo, model)
            first = list(islice(todo, 1))
            if not first:
                with output.Writer(replies):  # which makes the file, or cuts off a torn line
                    return Done(replies, len(self._left_out), finished=True)
            refusals = Refusals(chain(first, todo), defaults)
            return self._generate(model, replies, refusals, facts.lines)

    def _facts(self) -> Facts:
        from minireason.batch import lines

        progress = Progress()
        progress.say(f"reading {self._file.name} ...")
        try:
            return lines.facts(self._file)
        finally:
            progress.clear()

    def _identity(self, model: RunModel, input_sha256: str, form: str) -> Run:
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
            form=form,
        )

    def _defaults(self, model: RunModel, seed: int) -> Defaults:
        """What holds for lines that say nothing else; `seed` is the run's."""
        from minireason.batch.jobs import Defaults

        settings = model.defaults.changed({**self._asked.settings, "seed": None})
        return Defaults(settings, self._asked.system, seed, self._how.replies_each)

    def _telling_of_models(self, todo: Iterator[Job], model: RunModel) -> Iterator[Job]:
        """The same jobs; say once that a line names another model than the one that answers."""
        own, told = {None, model.name, model.label, model.known_as}, False
        for job in todo:
            if job.item.model not in own and not told:
                told = True
                said = f"asks for the model {shown(job.item.model)}; {model.known_as} answers."
                self._say(f"{self._file.name} {said}")
            yield job

    def _generate(self, model: RunModel, replies: Output, refusals: Refusals, lines: int) -> Done:
        """Open the model, here or on Ray, and run the jobs that `refusals` has."""
        from minireason.cli.terminal.meter import Meter

        total = lines * self._how.replies_each
        with ExitStack() as stack:
            runner: Runner | RayRunner
            if self._how.ray is None:
                runner = self._here(model)
            else:
                runner = self._on_ray(model, replies.run.model_sha256, stack)
            stack.enter_context(telling_what_is_kept(lambda: kept(replies)))
            self._meter = stack.enter_context(Meter(total, "replies", done=replies.replies))
            began = time.monotonic()
            finished = self._write(runner, refusals, replies, total)
            seconds = time.monotonic() - began
        return Done(replies, len(self._left_out), finished, runner.tokens, seconds)

    def _here(self, model: RunModel) -> Runner:
        """Open the model in this process, or the one of a server."""
        from minireason.batch.local import Runner

        return Runner(model.open().backend, in_order=self._how.in_order)

    def _on_ray(self, model: RunModel, sha256: str, stack: ExitStack) -> RayRunner:
        """Join the cluster; the workers load the model, or ask the server."""
        from minireason.cli.commands.batch_ray import Workers

        if self._remote.url is not None:
            model.open()
        return Workers(self._how, self._asked, self._remote, model, sha256).join(stack)

    def _write(
        self, runner: Runner | RayRunner, refusals: Refusals, replies: Output, total: int
    ) -> bool:
        """Write each reply as it ends; whether the run came to its own end."""
        from minireason.batch.local import Answered
        from minireason.batch.output import Writer
        from minireason.cli.terminal.show import interrupts

        form, numbered = replies.form, self._how.replies_each > 1
        most = max(1, total - replies.replies)
        with interrupts(runner.cancel), Writer(replies) as writer:
            for result in refusals.results(runner, self._how.batch_size, most):
                if isinstance(result, Answered):
                    line = form.written(result, numbered=numbered)
                    try:
                        writer.write(line, result.reply.finish_reason)
                    except UsageError as problem:
                        self._leave_out(result.job.item.number, problem)
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
        self._say(f"Line {number} of {self._file.name} is left out: {as_sentence(said)}")

    def _say(self, line: str) -> None:
        say = self._meter.say if self._meter else notes.error_line
        say(line)


def kept(output: Output) -> str:
    """How many replies there are, and where."""
    return f"{output.replies:,} repl{'y' if output.replies == 1 else 'ies'} in {output.path}"


def run(file: Path, how: Batching, asked: Asked, remote: Remote) -> Done:
    """Answer the lines of a file that have no reply yet.

    Raises UsageError if the output is another run's, StoreError if it cannot be written, and what
    loading a model or connecting to one raises.
    """
    return Batch(file, how, asked, remote).run()
