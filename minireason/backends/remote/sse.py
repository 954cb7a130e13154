"""Server-sent events: bytes in pieces of any size -> the data of each event."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from minireason.backends.remote import bounds
from minireason.errors import ServerError

DONE = "[DONE]"
"""The data that says that nothing more comes."""

_LINE_END = re.compile(r"\r\n|\n|\r")


class EventReader:
    """Feed it bytes, get the data of the events that are whole.

    Lines end with LF, CRLF or CR; comments and other fields are left out.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._line: list[str] = []
        self._data: list[str] = []
        self._chars = 0
        """Of the line and of the data, which are bounded."""
        self._half_end = ""
        """A CR at the end of what came, which may be half of a CRLF."""

    def feed(self, piece: bytes) -> Iterator[str]:
        """The data of each event that this piece completes; raises ServerError."""
        text = self._half_end + self._decoder.decode(piece)
        self._half_end = "\r" if text.endswith("\r") else ""
        for number, part in enumerate(_LINE_END.split(text.removesuffix("\r"))):
            if number:
                yield from self._end_line()
            self._line.append(part)
            self._chars += len(part)
        if self._chars > bounds.MAX_BODY_BYTES:
            raise ServerError(
                "The server sends an event that never ends; it speaks another protocol."
            )

    def flush(self) -> Iterator[str]:
        """The data of a last event that no blank line follows."""
        if any(self._line):
            yield from self._end_line()
        yield from self._end_line()

    def _end_line(self) -> Iterator[str]:
        line, self._line = "".join(self._line), []
        if line.startswith("data:"):
            self._data.append(line[5:].removeprefix(" "))
            return
        self._chars -= len(line)
        if not line and self._data:
            data, self._data, self._chars = "\n".join(self._data), [], 0
            yield data
