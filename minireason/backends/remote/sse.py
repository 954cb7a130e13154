"""Server-sent events: bytes in pieces of any size -> the data of each event."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from minireason.errors import ServerError

DONE = "[DONE]"
"""The data that says that nothing more comes."""

_MAX_EVENT_CHARS = 16 * 2**20


class EventReader:
    """Feed it bytes, get the data of the events that are whole.

    Lines end with LF, CRLF or CR; comments and other fields are left out.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> Iterator[str]:
        """The data of each event that this piece completes; raises ServerError."""
        self._text += self._decoder.decode(piece)
        if len(self._text) > _MAX_EVENT_CHARS:
            raise ServerError(
                "The server sends a line that never ends; it speaks another protocol."
            )
        while line := self._line():
            yield from self._event(line[0])

    def flush(self) -> Iterator[str]:
        """The data of a last event that no blank line follows."""
        rest, self._text = self._text.rstrip("\r"), ""
        if rest:
            yield from self._event(rest)
        yield from self._event("")

    def _line(self) -> tuple[str] | None:
        """The next whole line in a tuple, None if there is none."""
        ends = [at for mark in "\r\n" if (at := self._text.find(mark)) >= 0]
        if not ends:
            return None
        end = min(ends)
        if self._text[end:] == "\r":
            return None  # its LF may be in the next piece
        size = 2 if self._text.startswith("\r\n", end) else 1
        line, self._text = self._text[:end], self._text[end + size :]
        return (line,)

    def _event(self, line: str) -> Iterator[str]:
        if line.startswith("data:"):
            self._data.append(line[5:].removeprefix(" "))
        elif not line and self._data:
            data, self._data = "\n".join(self._data), []
            yield data
