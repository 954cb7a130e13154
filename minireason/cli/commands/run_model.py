"""The model of a run that can go on: one of this machine, or one of a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from minireason.cli import idle
from minireason.cli.commands.solve import room_for
from minireason.cli.options import Asked
from minireason.cli.remote import Remote
from minireason.cli.terminal import notes
from minireason.cli.terminal.progress import Progress
from minireason.errors import ServerError
from minireason.models import catalog, store

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from minireason.reasoner import Reasoner


class RunModel:
    """What is known of a model before a run, and the model; a context manager, which closes it.

    `parallel`: how many replies are to run at a time. A server is asked at once; a model of this
    machine is loaded when it is first needed.
    """

    def __init__(self, asked: Asked, remote: Remote, parallel: int | Literal["auto"]) -> None:
        self._asked, self._remote, self._parallel = asked, remote, parallel
        self._reasoner: Reasoner | None = None
        self.name = remote.model_name(asked)
        """What it was asked for by, "" for the only one of a server."""

        at_server = remote.url is not None
        self.label = self._connected() if at_server else store.find(self.name).label
        """What the run is known by."""

        self.known_as = self._reasoner.name if self._reasoner else self.label
        """What its replies say that they are of."""

        self.defaults = catalog.defaults(self.known_as)
        """The settings of a reply where nobody says anything."""

        self.bare_questions = catalog.bare_questions(self.known_as)
        """Whether it wants questions without an instruction for the answer's form."""

    def __enter__(self) -> RunModel:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Close the model."""
        if self._reasoner:
            self._reasoner.close()

    def sha256(self) -> str:
        """The hash of its bytes, "" for one of a server."""
        if self._remote.url is not None:
            return ""
        progress, file = Progress(), store.find(self.name)
        progress.say(f"hashing {file.path.name} ...")
        try:
            return store.fingerprint(file)
        finally:
            progress.clear()

    def open(self) -> Reasoner:
        """The model; says which options change nothing for it.

        Raises what would be wrong with every question.
        """
        reasoner = self._reasoner or self._loaded()
        settings = reasoner.defaults.changed(self._asked.settings)
        reasoner.backend.check(settings)
        idle.say(self._asked, reasoner, self.name)
        return reasoner

    def _connected(self) -> str:
        """Connect to the server; the label of its model."""
        from minireason.reasoner import Reasoner

        progress = Progress()
        try:
            backend = self._remote.connect(self.name, progress, self._parallel)
        finally:
            progress.clear()
        self._reasoner = Reasoner(backend)
        return backend.label

    def _loaded(self) -> Reasoner:
        from minireason.reasoner import load

        progress = Progress()
        settings = room_for(self._parallel, self._asked.load)
        try:
            progress.loading(self.name)
            self._reasoner = load(self.name, on_progress=progress.loaded_share, **settings)
        finally:
            progress.clear()
        return self._reasoner


def say_what_there_is(noun: str, path: Path, done: int, total: int, damaged: int) -> None:
    """Say what a run goes on with: `done` of a `total` of what `noun` names."""
    if damaged:
        lines = "line is" if damaged == 1 else "lines are"
        notes.error_line(f"{damaged:,} damaged {lines} left alone in {path}.")
    if done:
        share = f" of {total:,}" if done <= total else ""
        notes.note(f"{done:,}{share} {noun} are in {path} already.")


@contextmanager
def telling_what_is_kept(kept: Callable[[], str]) -> Iterator[None]:
    """Say on standard error what there is of a run that is ended by its server's failure."""
    try:
        yield
    except ServerError:
        notes.error_line(f"Stopped with {kept()}; the same command goes on.")
        raise
