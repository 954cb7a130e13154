"""A conversation: what was said, from turn to turn, in the model's cache and on disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Unpack

from minireason import transcript
from minireason.errors import SessionError
from minireason.events import AnswerDelta, Done, Event, Message, Reply, ThinkingDelta
from minireason.history import History, Step, Turn
from minireason.prefill import ReadAhead
from minireason.settings import Changes

if TYPE_CHECKING:
    from minireason.reasoner import Reasoner
    from minireason.stream import Stream

SAVE_EVERY_S = 1.0
"""How often the part of a reply that is there is saved."""


class Session:
    """Messages so far and a model to go on with; answers stay in the prompt, thinking does not.

    After `save` or `load` every turn is also appended to that file, at once and with its thinking; if that fails, the
    conversation goes on, `unsaved` says why, and what is missing is written with the next turn. Once the prompt takes more
    than half of the context, the oldest turns leave it until it takes a third; `left_out` says how many are out. They stay in
    `turns` and in the file. One session at a time may have a file; `close` lets go of it.

    With `read_ahead` a thread of this session reads the history, without the thought, into the cache after every reply, so
    that the next question need not wait for it; it ends when it is through or when a question comes. Without it no thread is
    ever started; `prefill` does the same and waits.
    """

    def __init__(
        self, reasoner: Reasoner, *, system: str | None = None, read_ahead: bool = False
    ) -> None:
        self.reasoner = reasoner
        self.left_out = 0
        self.unsaved: SessionError | None = None
        self._history = History(system=system or None)
        self._file: transcript.Transcript | None = None
        self._ahead = ReadAhead() if read_ahead else None

    @property
    def system(self) -> str | None:
        """The system prompt."""
        return self._history.system

    @system.setter
    def system(self, text: str | None) -> None:
        self._do({"system": text or None})
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
        `Reasoner.stream`.
        """
        self._stop_reading()
        replaced = again and (self.unanswered is None or self._history.replaces)
        before = self._fitting(question, replaced)
        asked = Message(role="user", content=question)
        stream = self.reasoner.stream([*before, asked], on_prefill=on_prefill, **changes)
        return TurnStream(self, question, stream, replaced)

    def send(self, question: str, *, again: bool = False, **changes: Unpack[Changes]) -> Reply:
        """Ask the next question and wait for the whole reply."""
        turn = self.stream(question, again=again, **changes)
        for _ in turn:
            pass
        return turn.reply

    def retry(self, **changes: Unpack[Changes]) -> Reply:
        """Ask the last question again, with a new seed if none is given; raises SessionError if there is none."""
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
        question = self.last_question()
        self._do({"turn": {"question": "", "answer": ""}} if self.unanswered else {"undo": True})
        self.left_out = 0
        return question

    def clear(self) -> None:
        """Forget everything but the system prompt."""
        self._do({"clear": True})
        self.left_out = 0

    def save(self, path: Path | str) -> None:
        """Write the conversation to a file and go on saving to it; raises SessionError."""
        with self._keeping(Path(path), new=True) as lock:
            self._keep(transcript.write(Path(path), self._history, lock))

    def save_to(self, path: Path | None = None) -> None:
        """Save to a file that does not exist yet from now on, called after the time if nothing else is said; it is made with the
        next step. Raises SessionError."""
        before = self._history.steps()  # of an empty conversation the system prompt alone
        if path is None:
            self._keep(transcript.new(before))
        else:
            with self._keeping(path, new=True) as lock:
                self._keep(transcript.Transcript(path, lock, first=before))
        if self._history.turns:
            self._append()

    def load(self, path: Path | str) -> tuple[str, ...]:
        """Go on with a saved conversation, of whatever model, and go on saving to its file.

        Returns a sentence for each thing that was wrong with the file and was mended or left out. Raises SessionError.
        """
        path = Path(path)
        self._stop_reading()
        with self._keeping(path) as lock:
            found = transcript.read(path)
            self._keep(transcript.Transcript(path, lock, found.length))
        self._history, self.left_out = found.history, 0
        if found.missing:
            self._append(*found.missing)
        self._read_ahead()
        return found.problems

    def use(self, reasoner: Reasoner) -> None:
        """Go on with another model, which reads the conversation afresh."""
        self._stop_reading()
        self.reasoner, self.left_out = reasoner, 0
        self._read_ahead()

    def prefill(self) -> int:
        """Read the history into the cache now, so that the next question need not wait for it; the number of tokens read."""
        self._stop_reading()
        return self.reasoner.prefill(self._fitting("", False))

    def close(self) -> None:
        """Stop reading ahead and let go of the file, after a last try if something is `unsaved`; what comes later is not saved."""
        self._stop_reading()
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

        def messages() -> list[Message]:
            whole = self._history.messages(min(self.left_out, turns))
            return whole[:-2] if replaced else whole

        n_ctx = self.reasoner.n_ctx
        if turns > self.left_out and self.reasoner.count_tokens([*messages(), asked]) > n_ctx // 2:
            while (
                turns > self.left_out
                and self.reasoner.count_tokens([*messages(), asked]) > n_ctx // 3
            ):
                self.left_out += 1
        return messages()

    def _stop_reading(self) -> None:
        if self._ahead:
            self._ahead.stop()

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


class TurnStream:
    """A stream that writes itself into its session: while it runs into the file, when it is done into the history."""

    def __init__(self, session: Session, question: str, stream: Stream, again: bool) -> None:
        self._session, self._question, self._stream, self._again = session, question, stream, again
        self._unsaved = {"thinking": "", "answer": ""}
        self._ended = False

    def __iter__(self) -> Iterator[Event]:
        if not self._ended:
            self._session._append(asked := {"asked": self._question, "again": self._again})
            self._session._history.apply(asked)
        saved_at = time.monotonic()
        try:
            for event in self._stream:
                match event:
                    case ThinkingDelta(text=text):
                        self._unsaved["thinking"] += text
                    case AnswerDelta(text=text):
                        self._unsaved["answer"] += text
                    case Done(reply=reply):
                        self._end(reply)
                if time.monotonic() - saved_at > SAVE_EVERY_S:
                    self.save()
                    saved_at = time.monotonic()
                yield event
        finally:
            self.close()  # left early, or failed: what there is is kept

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

    @property
    def thinking_tokens(self) -> int:
        """See `Stream.thinking_tokens`."""
        return self._stream.thinking_tokens

    @property
    def reply(self) -> Reply:
        """See `Stream.reply`."""
        return self._stream.reply
