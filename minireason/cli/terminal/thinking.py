"""Where the thinking goes as it comes: a standard stream, a file, or nowhere."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from minireason.cli.terminal import notes, output
from minireason.cli.terminal.output import harmless
from minireason.cli.terminal.wrapping import WordWrap, wraps
from minireason.errors import UsageError
from minireason.host import paths

if TYPE_CHECKING:
    from rich.console import Console

LANDING = "landing … · Ctrl-C: stop"
"""Said once a thought was asked to come to its end."""

_STREAMS = ("show", "stderr")
THINKING = (*_STREAMS, "hide")
"""Where the thinking may go, beside a file."""


class Thinking:
    """Where the thinking goes: "show" (standard output), "stderr", "hide", or a file.

    A file that cannot be opened raises UsageError. One that can no longer be written to, as where
    the disk is full, is told, and then `lost`: the answer comes all the same.
    """

    def __init__(self, where: str, words: tuple[str, ...] = THINKING) -> None:
        """`words`: what else but a path may be said here, for the error."""
        self._where = where
        self.lost = False
        """Whether there is thinking that could not be written."""
        self._file: TextIO | None = None
        self._console: Console | None = None
        self._pipe: TextIO | None = None
        if where in _STREAMS:
            errors = where == "stderr"
            if output.is_terminal(errors=errors):
                self._console = output.console(errors=errors)
            else:
                self._pipe = output.direct(sys.stderr if errors else sys.stdout)
        elif where not in THINKING:
            try:
                self._file = _opened_for_thinking(where, words)
            except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
                raise UsageError(
                    f"{self._cannot(error)}; name another file, or show, stderr or hide."
                ) from None
        self._words = WordWrap()
        self._wrote = False
        self._landing = False

    def write(self, text: str) -> None:
        if self._landing:
            self._landing = False
            self._say_landing()
        if self._file:
            with self._kept_apart():
                self._file.write(text)
        else:
            self._print(harmless(text))
        self._wrote = True

    def landing(self) -> None:
        """Say with the next piece that the thought was asked to end; for signal handlers too."""
        self._landing = True

    def end(self) -> None:
        """The thinking is over: a blank line before what follows."""
        if self._wrote and self._console:
            self._end_line()
            self._console.out("\n")
        elif self._wrote:
            self._print("\n\n")
        self._wrote = self._landing = False

    def close(self) -> None:
        if self._file:
            with self._kept_apart():
                self._file.close()

    def _print(self, text: str) -> None:
        if self._pipe:
            self._pipe.write(text)
            self._pipe.flush()
        elif self._console:
            if wraps(self._console):
                text = self._words.feed(text, self._console.width)
            self._console.out(text, style="dim", end="", highlight=False)
            self._console.file.flush()

    def _end_line(self) -> None:
        """Print the word that waits for its end, as far as it has come."""
        if self._console:
            rest = self._words.flush(self._console.width)
            self._console.out(rest, style="dim", end="", highlight=False)
            self._words = WordWrap()

    def _say_landing(self) -> None:
        if not output.is_terminal(errors=True):
            return
        line = f"({LANDING})\n"
        if self._wrote and (self._console or self._pipe):
            self._end_line()
            line = f"\n{line}"
        output.console(errors=True).out(line, style="dim italic", end="", highlight=False)

    @contextmanager
    def _kept_apart(self) -> Iterator[None]:
        """Tell once that the file cannot be written to, and go on."""
        try:
            yield
        except OSError as error:
            if not self.lost:
                self.lost = True
                notes.error_line(
                    f"{self._cannot(error)}, so the rest of it is lost; "
                    "make room there, or name another file the next time."
                )

    def _cannot(self, error: Exception) -> str:
        problem = getattr(error, "strerror", None) or error
        return f"The thinking cannot be written to {self._where} ({problem})"


def _opened_for_thinking(where: str, words: tuple[str, ...]) -> TextIO:
    """A file made for the thinking, for the user's eyes only, or a device or pipe that is there.

    Nothing that lies there is written over, and a word that was mistyped makes no file. Raises
    UsageError, OSError or ValueError.
    """
    path = paths.expanded(where)
    if not (path.suffix or os.sep in where or "/" in where):
        near = difflib.get_close_matches(where, words, 1)
        hint = f"did you mean {near[0]}? It takes" if near else "has to be one of"
        raise UsageError(
            f"--thinking {where}: {hint} {', '.join(words)}, or a file: a path with a / "
            "in it, or a name with a suffix such as thought.txt."
        )
    if path.is_file():
        raise UsageError(
            f"There is a file {where} already, and it is not written over; "
            "name another with --thinking."
        )
    flags = os.O_APPEND if path.exists() else os.O_CREAT | os.O_EXCL
    handle = os.open(path, os.O_WRONLY | flags, 0o600)
    return os.fdopen(handle, "w", buffering=1, encoding="utf-8")
