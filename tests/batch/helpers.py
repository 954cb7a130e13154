"""A whole batch over a backend that is given, as the command runs one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from minireason import Settings
from minireason.backends.base import Backend
from minireason.batch import jobs, lines, output
from minireason.batch.forms import form_of
from minireason.batch.local import Answered, Runner
from minireason.batch.refusals import Refusals
from minireason.errors import MinireasonError

RUN = output.Run("scripted", "", 1, None, {}, "")


def write(path: Path, items: Iterable[object]) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    return path


def read(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


class Killed(Exception):
    """What ends a run in the middle."""


def run(
    source: Path,
    out: Path,
    backend: Backend,
    *,
    samples: int = 1,
    parallel: int = 3,
    in_order: bool = False,
    killed_after: int | None = None,
) -> dict[int, str]:
    """Run what is missing; what is wrong with the lines that are left out, by their numbers.

    `killed_after` so many replies the run ends as if its process were killed: nothing more is
    written.
    """
    broken: dict[int, str] = {}
    form = form_of(source)
    replies = output.resume(out, replace(RUN, form=form.name))
    defaults = jobs.Defaults(Settings(), None, 1, samples)

    def on_broken(number: int, problem: MinireasonError) -> None:
        broken[number] = str(problem)

    todo = jobs.jobs(lines.read(source), defaults, replies.done, on_broken, form.item)
    written = 0
    try:
        with output.Writer(replies) as writer:
            runner = Runner(backend, in_order=in_order)
            for result in Refusals(todo, defaults).results(runner, parallel):
                if isinstance(result, Answered):
                    if written == killed_after:
                        raise Killed
                    line = form.written(result, numbered=samples > 1)
                    writer.write(line, result.reply.finish_reason)
                    written += 1
                elif result:
                    broken[result.job.item.number] = str(result.error)
    finally:
        replies.done.close()
    return broken
