"""What was said, in memory and in a file: each step goes to both."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from minireason.conversation import transcript
from minireason.conversation.history import History, Step
from minireason.errors import MinireasonError, SessionError


class Closable(Protocol):
    """A turn, as far as the record ends it."""

    def close(self) -> None:
        """End the reply where it is, and do the step that it makes."""
        ...


class Record:
    """The history of one conversation and the file that it is saved to, if there is one.

    A step that cannot be written, because the disk is full, waits and is written with the next one;
    meanwhile `unsaved` says why. `dropped` are turns that were dropped before their end: whoever
    asks for the history has them ended first.
    """

    def __init__(self, history: History) -> None:
        self.unsaved: SessionError | None = None
        self.dropped: deque[Closable] = deque()
        self._history = history
        self._file: transcript.Transcript | None = None

    @property
    def history(self) -> History:
        """What was said, after what there is of turns that were dropped."""
        self.end_dropped()
        return self._history

    @property
    def path(self) -> Path | None:
        """The file that the steps are appended to."""
        return self._file.path if self._file else None

    def end_dropped(self) -> None:
        """Keep what there is of turns that were dropped; in the middle of a step they stay so."""
        for turn in list(self.dropped):
            if turn in self.dropped:  # ending one has the others ended first
                self.dropped.remove(turn)
                with suppress(MinireasonError):  # the model may be closed already
                    turn.close()

    def do(self, step: Step) -> None:
        """Do a step and write it."""
        self.history.apply(step)
        self.append(step)

    def begin(self, asked: Step) -> None:
        """Write a question and then note it: should the program end here, the file has it."""
        self.append(asked)
        self.history.apply(asked)

    def append(self, *steps: Step) -> None:
        """Write steps that are done already, and all that could not be written before."""
        if not self._file:
            return
        try:
            self._file.append(steps)
            self.unsaved = None
        except SessionError as error:
            self.unsaved = error

    def save(self, path: Path) -> None:
        """Write everything to a file and go on with that; raises SessionError."""
        with self._locked(path, new=True) as lock:
            self._go_on_with(transcript.write(path, self.history, lock))

    def save_to(self, path: Path | None) -> None:
        """Go on with a file that does not exist yet, None: one called after the time.

        It is made with the next step, which of an empty conversation the system prompt is not.
        Raises SessionError.
        """
        before = self.history.steps()
        if path is None:
            self._go_on_with(transcript.new(before))
        else:
            with self._locked(path, new=True) as lock:
                self._go_on_with(transcript.Transcript(path, lock, first=before))
        if self.history.turns:
            self.append()

    def load(self, path: Path) -> tuple[str, ...]:
        """Take the history of a file and go on with that; raises SessionError.

        Returns a sentence for each thing that was wrong and was mended or left out.
        """
        with self._locked(path) as lock:
            saved = transcript.read(path)
            self._go_on_with(transcript.Transcript(path, lock, saved.length))
        self._history = saved.history
        if saved.missing:
            self.append(*saved.missing)
        return saved.problems

    def close(self) -> None:
        """Let go of the file, after a last try if something is `unsaved`."""
        if self.unsaved:
            self.append()
        if self._file:
            self._file.lock.release()
            self._file = None

    @contextmanager
    def _locked(self, path: Path, *, new: bool = False) -> Iterator[transcript.Lock]:
        """The lock of a file, which may be ours already; let go of if the block fails."""
        ours = None
        if self._file and self._file.path.absolute() == path.absolute():
            ours = self._file.lock
        lock = ours or transcript.Lock(path, new=new)
        try:
            yield lock
        except BaseException:
            if lock is not ours:
                lock.release()
            raise

    def _go_on_with(self, file: transcript.Transcript) -> None:
        """Save to this file from now on, and let go of the one before."""
        if self.unsaved:
            self.append()
        if self._file and file.lock is not self._file.lock:
            self._file.lock.release()
        self._file, self.unsaved = file, None
