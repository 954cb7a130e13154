"""Tell lines that are refused from a run in which every line would be.

Many refusals in a row may be the lines' own fault or that of the run, such as a setting of the
command or a server that has lost its model. So a question of ours is asked, with the settings and
the system prompt of the command alone. Where that is refused for the same reason, the run ends.
"""

from __future__ import annotations

import copy
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from minireason.backends.pool import Refused
from minireason.batch.jobs import Defaults, Item, Job, with_system
from minireason.batch.local import Result
from minireason.errors import MinireasonError
from minireason.messages import as_messages

if TYPE_CHECKING:
    from minireason.batch.local import Runner
    from minireason.batch.ray import Runner as RayRunner

IN_A_ROW = 64
"""So many refusals without a reply in between have the question asked; then twice as many."""

QUESTION = "What is 1 + 1?"

_MOST_HELD = 1024


class Refusals:
    """Runs jobs, and holds their refusals back until they are known to be the lines' own."""

    def __init__(self, jobs: Iterator[Job], defaults: Defaults) -> None:
        messages = with_system(as_messages(QUESTION), defaults.system)
        item = Item(0, 0, tuple(messages), defaults.settings)
        self._jobs, self._question = jobs, Job(item, 0, defaults.settings)
        self._held: deque[Refused[Job]] = deque()
        self._in_a_row, self._allowed, self._is_asked = 0, IN_A_ROW, False

    def results(
        self, runner: Runner | RayRunner, requested: int | Literal["auto"], most: int | None = None
    ) -> Iterator[Result | None]:
        """What comes of the jobs; see `local.Runner.results`.

        Raises the error with which every question is refused.
        """
        for result in runner.results(self._with_question(), requested, most):
            if result is None:
                yield None
            elif result.job is self._question:
                self._judge(result)
                yield from self._told()
            elif isinstance(result, Refused):
                self._in_a_row += 1
                self._held.append(_light(result))
                if len(self._held) > _MOST_HELD:
                    yield self._held.popleft()
            else:
                self._in_a_row = 0
                yield from self._told()
                yield result
        yield from self._told()

    def _with_question(self) -> Iterator[Job]:
        """The jobs, and the question where it has to be asked."""
        for job in self._jobs:
            if self._in_a_row >= self._allowed and not self._is_asked:
                self._is_asked = True
                yield self._question
            yield job

    def _judge(self, result: Result) -> None:
        """Raise why the question was refused, if the last line was for the same reason."""
        last = self._held[-1] if self._held else None
        if last and isinstance(result, Refused) and _reason(result) == _reason(last):
            raise _of_every_question(result.error)
        self._in_a_row, self._allowed, self._is_asked = 0, 2 * self._allowed, False

    def _told(self) -> Iterator[Result]:
        """The refusals that were held back."""
        while self._held:
            yield self._held.popleft()


def _light(refused: Refused[Job]) -> Refused[Job]:
    """The same without what the line holds, which the frames that the error has been in hold too.

    A line may be long, and many are held.
    """
    item = replace(refused.job.item, messages=(), further={}, body_of=None)
    return Refused(replace(refused.job, item=item), copy.copy(refused.error))


def _reason(refused: Refused[Job]) -> tuple[type, str]:
    """What is wrong, but for numbers such as that of a request, or of a prompt's tokens."""
    return type(refused.error), re.sub(r"\d+", "0", str(refused.error))


def _of_every_question(error: MinireasonError) -> MinireasonError:
    said = f"Every question is refused ({str(error).rstrip('.')})"
    error.args = (f"{said}; mend that, and run the same command again.",)
    return error
