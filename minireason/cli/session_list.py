"""The sessions that chats have kept: a line for each, and their names for completion."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from minireason.cli.terminal import notes, table
from minireason.cli.terminal.table import Columns
from minireason.conversation import transcript
from minireason.errors import SessionError

_HEADERS = ["session", "turns", "last", "begins with"]
_COLUMNS = Columns(left=(0, 2, 3), drop=(2, 1), cut=3)
_SHOWN_OF_A_QUESTION = 60


def complete(start: str) -> Iterator[str]:
    """Names of sessions for the shell's completion, but for those that nobody can type."""
    names = (path.stem for path in transcript.listed())
    yield from (name for name in names if name.startswith(start) and name.isprintable())


def print_list(*, errors: bool = False) -> None:
    """Print a line for each session, on standard output or on standard error for `errors`."""
    rows = []
    for path in transcript.listed():
        try:
            turns = transcript.read(path).history.turns
        except SessionError as error:
            notes.error_line(str(error))
            continue
        first = " ".join(turns[0].question.split()) if turns else ""
        last = _local(turns[-1].at) if turns else ""
        rows.append([path.stem, str(len(turns)), last, first[:_SHOWN_OF_A_QUESTION]])
    if rows:
        table.print_table(_HEADERS, rows, _COLUMNS, errors=errors)
    else:
        notes.note("There are no sessions yet; minireason chat begins one.")


def _local(at: str) -> str:
    """A turn's time as the clock here shows it; nothing for what is none."""
    with suppress(ValueError, OverflowError, OSError):
        return f"{datetime.fromisoformat(at).astimezone():%Y-%m-%d %H:%M}"
    return ""
