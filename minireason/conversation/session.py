"""A conversation: what was said, from turn to turn, in the model's cache and on disk."""

from __future__ import annotations

import os
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Unpack

from minireason.checks import checked, text, yes_or_no
from minireason.conversation import transcript
from minireason.conversation.history import History, Step, Turn
from minireason.conversation.read_ahead import ReadAhead
from minireason.errors import MinireasonError, SessionError, UsageError, shown
from minireason.events import AnswerDelta, Done, Event, Reply, ThinkingDelta
from minireason.messages import Message, as_question
from minireason.reasoning.length import most_that_fit
from minireason.settings import Changes, Settings, kept, layered

if TYPE_CHECKING:
    from minireason.backends.base import ReplyStream
    from minireason.reasoner import Reasoner

SAVE_EVERY_S = 1.0
"""How often the part of a reply that is there is saved."""


class Session:
    """Messages so far and a model to go on with; answers stay in the prompt, thinking does not.

    After `save` or `load` every turn is also appended to that file, at once and with its thinking;
    if that fails, the conversation goes on, `unsaved` says why, and what is missing is written
    with the next turn. Once the prompt takes more than half of the context, the oldest turns leave
    it until it takes a third; `left_out` says how many are out. They stay in `turns` and in the
    file. One session at a time may have a file; `close` lets go of it. One turn at a time is under
    way: whatever comes next ends it where it is. The keywords are the settings of all turns; what
    a turn says goes before them.

    With `read_ahead` a thread of this session reads the history, without the thought, into the cache after every reply, so
    that the next question need not wait for it; it ends when it is through or when a question comes. Without it no thread is
    ever started; `prefill` does the same and waits.
    """

    def __init__(
        self,
        reasoner: Reasoner,
        *,
        system: str | None = None,
        read_ahead: bool = False,
        **changes: Unpack[Changes],
    ) -> None:
        self.reasoner = reasoner
        self.left_out = 0
        self.unsaved: SessionError | None = None
        self._changes = kept(changes)
        _ = self.settings  # what does not go with the model's defaults is told now
        self._said = History(system=_system(system))
        self._file: transcript.Transcript | None = None
        self._ahead = ReadAhead() if checked("read_ahead", read_ahead, yes_or_no) else None
        self._turn: weakref.ref[TurnStream] | None = None
        self._dropped: deque[TurnStream] = deque()

    def __repr__(self) -> str:
        count = len(self._history.turns)
        file = f", saved to {self.path}" if self.path else ""
        return f"<Session with {self.reasoner.name}: {count} turn{'' if count == 1 else 's'}{file}>"

    @property
    def settings(self) -> Settings:
        """How a turn is generated that says nothing of it: the model's defaults as changed here."""
        return self.reasoner.defaults.changed(self._changes)

    @property
    def system(self) -> str | None:
        """The system prompt."""
        return self._history.system

    @system.setter
    def system(self, prompt: str | None) -> None:
        self._do({"system": _system(prompt)})
        self.left_out = 0

    @property
    def turns(self) -> tuple[Turn, ...]:
        """Every question that was answered, oldest first."""
        return tuple(self._history.turns)

    @property
    def unanswered(self) -> str | None:
        """The last question, where its reply ended without an answer; `retry` asks it again."""
        return self._history.unanswered

    @property
    def messages(self) -> list[Message]:
        """The whole conversation, without thinking."""
        return self._history.messages()

    @property
    def prompt(self) -> list[Message]:
        """The part of it that goes into the prompt."""
        return self._history.messages(self.left_out)

    @property
    def path(self) -> Path | None:
        """The file that the turns are appended to."""
        return self._file.path if self._file else None

    def stream(
        self,
        question: str,
        *,
        again: bool = False,
        on_prefill: Callable[[int, int], None] | None = None,
        **changes: Unpack[Changes],
    ) -> TurnStream:
        """Ask the next question; it and its answer join the history when the stream ends with an answer.

        With `again` they take the place of the last turn, once there is an answer. Settings and errors as for
        `Reasoner.stream`, but that the conversation's own come first.
        """
        question = as_question(question)
        self._settle()
        replaced = again and (self.unanswered is None or self._history.replaces)
        before = self._fitting(question, replaced)
        asked = Message(role="user", content=question)
        settings = layered(self._changes, changes)
        stream = self.reasoner.stream([*before, asked], on_prefill=on_prefill, **settings)
        turn = TurnStream(self, question, stream, replaced)
        self._turn = weakref.ref(turn)
        return turn

    def send(self, question: str, *, again: bool = False, **changes: Unpack[Changes]) -> Reply:
        """Ask the next question and wait for the whole reply."""
        with self.stream(question, again=again, **changes) as turn:
            for _ in turn:
                pass
            return turn.reply

    def retry(self, **changes: Unpack[Changes]) -> Reply:
        """Ask the last question again, with a new seed if none is given; raises SessionError if there is none."""
        changes.setdefault("seed", None)  # the conversation's own would only say the same again
        return self.send(self.last_question(), again=True, **changes)

    def edit(self, question: str, **changes: Unpack[Changes]) -> Reply:
        """Ask another question in the place of the last one; raises SessionError if there is none."""
        self.last_question()
        return self.send(question, again=True, **changes)

    def last_question(self) -> str:
        """What `retry` asks; raises SessionError if nothing was asked yet."""
        if self.unanswered:
            return self.unanswered
        if not self._history.turns:
            raise SessionError("Nothing was asked yet.")
        return self._history.turns[-1].question

    def undo(self) -> str:
        """Take the last turn, or the unanswered question, back and return the question; raises SessionError if there is none."""
        self._settle()
        question = self.last_question()
        self._do({"turn": {"question": "", "answer": ""}} if self.unanswered else {"undo": True})
        self.left_out = 0
        return question

    def clear(self) -> None:
        """Forget everything but the system prompt."""
        self._settle()
        self._do({"clear": True})
        self.left_out = 0

    def save(self, path: Path | str) -> None:
        """Write the conversation to a file and go on saving to it; raises SessionError."""
        file = _path(path)
        with self._keeping(file, new=True) as lock:
            self._keep(transcript.write(file, self._history, lock))

    def save_to(self, path: Path | None = None) -> None:
        """Save to a file that does not exist yet from now on, called after the time if nothing else is said; it is made with the
        next step. Raises SessionError."""
        before = self._history.steps()  # of an empty conversation the system prompt alone
        if path is None:
            self._keep(transcript.new(before))
        else:
            file = _path(path)
            with self._keeping(file, new=True) as lock:
                self._keep(transcript.Transcript(file, lock, first=before))
        if self._history.turns:
            self._append()

    def load(self, path: Path | str) -> tuple[str, ...]:
        """Go on with a saved conversation, of whatever model, and go on saving to its file.

        Returns a sentence for each thing that was wrong with the file and was mended or left out. Raises SessionError.
        """
        file = _path(path)
        self._settle()
        with self._keeping(file) as lock:
            found = transcript.read(file)
            self._keep(transcript.Transcript(file, lock, found.length))
        self._said, self.left_out = found.history, 0
        if found.missing:
            self._append(*found.missing)
        self._read_ahead()
        return found.problems

    def use(self, reasoner: Reasoner) -> None:
        """Go on with another model, which reads the conversation afresh."""
        from minireason.reasoner import Reasoner

        if not isinstance(reasoner, Reasoner):
            raise UsageError(
                f"use() takes what minireason.load() returns, and not {shown(reasoner)}."
            )
        self._settle()
        self.reasoner, self.left_out = reasoner, 0
        self._read_ahead()

    def prefill(self) -> int:
        """Read the history into the cache now, so that the next question need not wait for it; the number of tokens read."""
        self._settle()
        return self.reasoner.prefill(self._fitting("", False))

    def close(self) -> None:
        """End what is under way and let go of the file, after a last try if something is `unsaved`.

        What comes later is not saved.
        """
        self._settle()
        if self.unsaved:
            self._append()
        if self._file:
            self._file.lock.release()
            self._file = None

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def _keeping(self, path: Path, *, new: bool = False) -> Iterator[transcript.Lock]:
        """The lock of a file, which may be this session's already; let go of if the block fails."""
        ours = (
            self._file.lock
            if self._file and self._file.path.absolute() == path.absolute()
            else None
        )
        lock = ours or transcript.Lock(path, new=new)
        try:
            yield lock
        except BaseException:
            if lock is not ours:
                lock.release()
            raise

    def _keep(self, file: transcript.Transcript) -> None:
        """Save to this file from now on, and let go of the one before."""
        if self.unsaved:
            self._append()
        if self._file and file.lock is not self._file.lock:
            self._file.lock.release()
        self._file, self.unsaved = file, None

    def _fitting(self, question: str, replaced: bool) -> list[Message]:
        """The messages before a question, with as many of the oldest turns left out as has to be."""
        turns = len(self._history.turns) - replaced
        asked = Message(role="user", content=question.strip() or "?")
        n_ctx = self.reasoner.n_ctx

        def messages(kept: int) -> list[Message]:
            whole = self._history.messages(turns - kept)
            return whole[:-2] if replaced else whole

        def fits(kept: int, most: int) -> bool:
            prompt = [*messages(kept), asked]
            return self.reasoner.count_tokens(prompt, at_most=most) <= most

        kept = max(0, turns - self.left_out)
        if kept and not fits(kept, n_ctx // 2):
            kept = most_that_fit(lambda count: fits(count, n_ctx // 3), kept)
            self.left_out = turns - kept
        return messages(kept)

    def _settle(self) -> None:
        """End what is under way: a turn that has begun, and the reading ahead."""
        self._end_dropped()
        turn = self._turn() if self._turn else None
        if turn and turn.begun:
            turn.close()
        if self._ahead:
            self._ahead.stop()

    @property
    def _history(self) -> History:
        self._end_dropped()
        return self._said

    def _end_dropped(self) -> None:
        """Keep what there is of turns that were dropped."""
        while self._dropped:
            with suppress(MinireasonError):  # the model may be closed already
                self._dropped.popleft().close()

    def _read_ahead(self) -> None:
        if self._ahead and self._history.turns:
            self._ahead.start(self.reasoner, self._fitting("", False))

    def _do(self, step: Step) -> None:
        self._history.apply(step)
        self._append(step)

    def _append(self, *steps: Step) -> None:
        if self._file:
            try:
                self._file.append(steps)
                self.unsaved = None
            except SessionError as error:
                self.unsaved = error


class TurnStream(Iterator[Event]):
    """A stream that writes itself into its session: first into the file, then into the history.

    It is iterated once, as every stream. Closing it (also by leaving a `with` block, or by
    dropping it) ends the reply where it is, and what there is of an answer is kept.
    """

    def __init__(self, session: Session, question: str, stream: ReplyStream, again: bool) -> None:
        self._session, self._question, self._stream, self._again = session, question, stream, again
        self._unsaved = {"thinking": "", "answer": ""}
        self._ended = False
        self._saved_at = time.monotonic()
        self.begun = False

    def __iter__(self) -> TurnStream:
        iter(self._stream)
        return self

    def __next__(self) -> Event:
        self._begin()
        try:
            event = next(self._stream)
        except BaseException:
            self.close()  # failed or interrupted: what there is is kept
            raise
        match event:
            case ThinkingDelta(text=piece):
                self._unsaved["thinking"] += piece
            case AnswerDelta(text=piece):
                self._unsaved["answer"] += piece
            case Done(reply=reply):
                self._end(reply)
        if time.monotonic() - self._saved_at > SAVE_EVERY_S:
            self.save()
            self._saved_at = time.monotonic()
        return event

    def _begin(self) -> None:
        """Note the question, once."""
        if self.begun or self._ended:
            return
        self.begun, self._saved_at = True, time.monotonic()
        asked = {"asked": self._question, "again": self._again}
        self._session._append(asked)
        self._session._history.apply(asked)

    def save(self) -> None:
        """Write what has come since the last time; a signal handler may call it."""
        part, self._unsaved = self._unsaved, {"thinking": "", "answer": ""}
        if not self._ended and any(part.values()):
            self._session._append(part)

    def _end(self, reply: Reply) -> None:
        if not self._ended:
            self._ended = True
            turn = Turn.of_reply(self._question, reply)
            self._session._do(turn.step(again=self._again))
            self._session._read_ahead()

    def cancel(self) -> None:
        """See `Stream.cancel`."""
        self._stream.cancel()

    def finish_thinking(self) -> bool:
        """See `Stream.finish_thinking`."""
        return self._stream.finish_thinking()

    def close(self) -> None:
        """End the reply here, if it has not ended; what there is of an answer is kept."""
        if not self._ended:
            self._stream.close()
            self._end(self._stream.reply)

    def __enter__(self) -> TurnStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        """It may be called in the middle of another stream's step: so it waits for nothing here."""
        if getattr(self, "begun", False) and not self._ended:
            self._stream.drop()
            self._session._dropped.append(self)

    @property
    def thinking_tokens(self) -> int:
        """See `Stream.thinking_tokens`."""
        return self._stream.thinking_tokens

    @property
    def reply(self) -> Reply:
        """See `Stream.reply`."""
        return self._stream.reply


def _system(prompt: str | None) -> str | None:
    if prompt is None:
        return None
    return checked("system", prompt, text) or None


def _path(path: Path | str) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise UsageError(f"A session is saved to the path of a file, and not to {shown(path)}.")
    return Path(path)
