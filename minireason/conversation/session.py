"""A conversation: what was said, from turn to turn, in the model's KV cache and on disk."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, Unpack

from minireason.backends.base import Backend, StreamOptions, missing_of
from minireason.checks import checked, text, yes_or_no
from minireason.closing import Closing
from minireason.conversation.history import History, Step, Turn
from minireason.conversation.record import Record
from minireason.conversation.turn import TurnStream
from minireason.conversation.under_way import UnderWay
from minireason.conversation.window import Window
from minireason.errors import SessionError, UsageError, shown
from minireason.events import Reply
from minireason.messages import Message, as_messages, as_question
from minireason.settings import Changes, Settings, kept, layered


class HasBackend(Protocol):
    """What a conversation needs of a `Reasoner`."""

    @property
    def backend(self) -> Backend:
        """Where replies come from."""
        ...


class Session(Closing):
    """Messages so far and a model to go on with; answers stay in the prompt, thinking does not.

    After `save` or `load` every turn is also appended to that file, at once and with its thinking;
    if that fails, the conversation goes on, `unsaved` says why, and what is missing is written
    with the next turn. Once the prompt takes more than half of the context, the oldest turns leave
    it until it takes a third; `left_out` says how many are out. They stay in `turns` and in the
    file. One session at a time may have a file; `close` lets go of it. One turn at a time is under
    way: whatever comes next ends it where it is. The keywords are the settings of all turns; what
    a turn says goes before them.

    With `read_ahead` a thread of this session reads the history, without the thought, into the
    cache after every reply, so that the next question need not wait for it; it ends when it is
    through or when a question comes. Without it no thread is ever started; `prefill` does the same
    and waits.
    """

    def __init__(
        self,
        reasoner: HasBackend,
        *,
        system: str | None = None,
        read_ahead: bool = False,
        **changes: Unpack[Changes],
    ) -> None:
        self._backend = _backend_of("A Session", reasoner)
        self._changes = kept(changes)
        _ = self.settings  # what does not go with the model's defaults is told now
        self._record = Record(History(system=_system(system)))
        self._window = Window()
        read_ahead = checked("read_ahead", read_ahead, yes_or_no)
        self._under_way = UnderWay(self._record, read_ahead=read_ahead)

    def __repr__(self) -> str:
        count = len(self._record.history.turns)
        turns = f"{count} turn{'' if count == 1 else 's'}"
        file = f", saved to {self.path}" if self.path else ""
        return f"<Session with {self.backend.name}: {turns}{file}>"

    @property
    def backend(self) -> Backend:
        """Where its replies come from; `use` gives it another one."""
        return self._backend

    @property
    def settings(self) -> Settings:
        """How a turn is generated that says nothing of it: the model's defaults as changed here."""
        return self.backend.defaults.changed(self._changes)

    @property
    def system(self) -> str | None:
        """The system prompt."""
        return self._record.history.system

    @system.setter
    def system(self, prompt: str | None) -> None:
        self._change({"system": _system(prompt)})

    @property
    def turns(self) -> tuple[Turn, ...]:
        """Every question that was answered, oldest first."""
        return tuple(self._record.history.turns)

    @property
    def unanswered(self) -> str | None:
        """The last question, where its reply ended without an answer; `retry` asks it again."""
        return self._record.history.unanswered

    @property
    def messages(self) -> list[Message]:
        """The whole conversation, without thinking."""
        return self._record.history.messages()

    @property
    def prompt(self) -> list[Message]:
        """The part of it that goes into the prompt."""
        return self._record.history.messages(self.left_out)

    @property
    def left_out(self) -> int:
        """How many of the oldest turns do not go into the prompt any more."""
        return self._window.left_out

    @property
    def path(self) -> Path | None:
        """The file that the turns are appended to."""
        return self._record.path

    @property
    def unsaved(self) -> SessionError | None:
        """Why what was said last is not in the file; None: it is, or there is no file."""
        return self._record.unsaved

    def stream(
        self,
        question: str,
        *,
        again: bool = False,
        on_prefill: Callable[[int, int], None] | None = None,
        **changes: Unpack[Changes],
    ) -> TurnStream:
        """Ask the next question.

        It and its answer join the history when the stream ends with an answer. With `again` they
        take the place of the last turn, once there is an answer. Settings and errors as for
        `Reasoner.stream`, but that the conversation's own come first.
        """
        asked = as_messages(as_question(question))
        backend = self.backend
        settings = backend.defaults.changed(layered(self._changes, changes))
        options = StreamOptions(on_prefill=on_prefill)
        self._under_way.settle()
        history = self._record.history
        replaced = again and (history.unanswered is None or history.replaces)
        fitting = self._fitting(question, replaced=replaced)
        stream = backend.stream([*fitting, *asked], settings, options)
        turn = TurnStream(self._record, stream, question, again=replaced, on_end=self._read_ahead)
        self._under_way.note(turn)
        return turn

    def send(self, question: str, *, again: bool = False, **changes: Unpack[Changes]) -> Reply:
        """Ask the next question and wait for the whole reply."""
        return _whole(self.stream(question, again=again, **changes))

    def retry(self, **changes: Unpack[Changes]) -> Reply:
        """Ask the last question again, with a new seed if none is given.

        Raises SessionError if there is none.
        """
        return _whole(self.retry_stream(**changes))

    def retry_stream(self, **changes: Unpack[Changes]) -> TurnStream:
        """Start what `retry` waits for."""
        changes.setdefault("seed", None)  # the conversation's own would only say the same again
        return self.stream(self.last_question(), again=True, **changes)

    def edit(self, question: str, **changes: Unpack[Changes]) -> Reply:
        """Ask another question in the place of the last one.

        Raises SessionError if there is none.
        """
        return _whole(self.edit_stream(question, **changes))

    def edit_stream(self, question: str, **changes: Unpack[Changes]) -> TurnStream:
        """Start what `edit` waits for."""
        self.last_question()
        return self.stream(question, again=True, **changes)

    def last_question(self) -> str:
        """What `retry` asks; raises SessionError if nothing was asked yet."""
        return self._record.history.last_question()

    def undo(self) -> str:
        """Take the last turn, or the unanswered question, back and return the question.

        Raises SessionError if there is none.
        """
        self._under_way.settle()
        question = self.last_question()
        self._change(self._record.history.undoing())
        return question

    def clear(self) -> None:
        """Forget everything but the system prompt."""
        self._under_way.settle()
        self._change({"clear": True})

    def save(self, path: Path | str) -> None:
        """Write the conversation to a file and go on saving to it; raises SessionError."""
        self._record.save(_path(path))

    def save_to(self, path: Path | None = None) -> None:
        """Save to a file that does not exist yet from now on; raises SessionError.

        It is called after the time if nothing else is said, and made with the next step.
        """
        self._record.save_to(None if path is None else _path(path))

    def load(self, path: Path | str) -> tuple[str, ...]:
        """Go on with a saved conversation, of whatever model, and go on saving to its file.

        Returns a sentence for each thing that was wrong with the file and was mended or left out.
        Raises SessionError.
        """
        file = _path(path)
        self._under_way.settle()
        problems = self._record.load(file)
        self._window.left_out = 0
        self._read_ahead()
        return problems

    def use(self, reasoner: HasBackend) -> None:
        """Go on with another model, which reads the conversation afresh."""
        backend = _backend_of("use()", reasoner)
        self._under_way.settle()
        self._backend, self._window.left_out = backend, 0
        self._read_ahead()

    def prefill(self) -> int:
        """Read the history into the cache now, so that the next question need not wait for it.

        The number of tokens read.
        """
        self._under_way.settle()
        return self.backend.prefill(self._fitting(), lambda: False)

    def wait_for_read_ahead(self, *, stop: bool = False) -> None:
        """Wait until the history is read ahead; with `stop` let it end at the next slice."""
        self._under_way.wait_for_read_ahead(stop=stop)

    def close(self) -> None:
        """End what is under way and let go of the file, after a last try if something is `unsaved`.

        What comes later is not saved.
        """
        self._under_way.end_turns()
        self.wait_for_read_ahead(stop=True)
        self._record.close()

    def _change(self, step: Step) -> None:
        """Do a step that changes what earlier prompts had; so the window is set anew."""
        self._record.do(step)
        self._window.left_out = 0

    def _fitting(self, question: str = "", *, replaced: bool = False) -> list[Message]:
        """The messages before a question that go into its prompt."""
        history, window = self._record.history, self._window
        return window.fit(history, question, self.backend, replaced=replaced)

    def _read_ahead(self) -> None:
        self._under_way.read_ahead(self.backend, self._fitting)


def _whole(turn: TurnStream) -> Reply:
    """The reply of a turn, waited for."""
    with turn:
        for _ in turn:
            pass
        return turn.reply


def _backend_of(what: str, reasoner: HasBackend) -> Backend:
    if hasattr(reasoner, "backend") and not missing_of(reasoner.backend):
        return reasoner.backend
    raise UsageError(f"{what} takes what minireason.load() returns, and not {shown(reasoner)}.")


def _system(prompt: str | None) -> str | None:
    if prompt is None:
        return None
    return checked("system", prompt, text) or None


def _path(path: Path | str) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise UsageError(f"A session is saved to the path of a file, and not to {shown(path)}.")
    return Path(path)
