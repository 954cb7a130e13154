"""The one way to the user's terminal: no control character of anybody else's passes.

`guard` puts a stream in the place of standard output and of standard error that makes harmless
whatever is printed, by us, by a library or by Python itself. What draws steers the terminal on
purpose, and asks for it: `console` for rich, whose pieces of text are made harmless one by one,
and `direct` for the few sequences that are written by hand.
"""

from __future__ import annotations

import functools
import json
import os
import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:  # rich is loaded where there is a terminal, or something to be laid out
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.theme import Theme

DIRECTIONS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""Characters that turn the direction of text, for a regular expression's set."""

_USUAL_WIDTH = 80
_RICH_READS = {"FORCE_COLOR", "TTY_COMPATIBLE"}
"""Variables by which a user may say that a pipe is a terminal."""

_FORMATTING = re.compile(f"[{DIRECTIONS}]")
_STEERING = re.compile(f"[{DIRECTIONS}\x7f-\x9f]")
_VISIBLE = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\n\t"} | {
    0x7F: "\u2421"
}
_VISIBLE |= dict.fromkeys(range(0x80, 0xA0), "\ufffd")


def harmless(text: str) -> str:
    """Make every control character but newline and tab visible, so that it steers no terminal."""
    if text.isprintable():
        return text
    return _FORMATTING.sub("\ufffd", text.replace("\r\n", "\n")).translate(_VISIBLE)


class Guarded:
    """A text stream that makes harmless what is written to it; `direct` is the stream itself.

    It has no `buffer`, since bytes would go past it.
    """

    def __init__(self, stream: TextIO) -> None:
        self.direct = stream

    def write(self, text: str) -> int:
        """Write a text, made harmless; the number of its characters."""
        self.direct.write(harmless(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts one after the other."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self.direct, name)


def guard() -> None:
    """Guard standard output and standard error from here on, once for the whole program."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, Guarded):
            setattr(sys, name, cast("TextIO", Guarded(stream)))


def direct(stream: TextIO) -> TextIO:
    """The stream behind a guarded one, also while rich has put its own in front."""
    return cast("TextIO", getattr(stream, "direct", stream))


def forgiving_streams() -> None:
    """Let characters that the terminal's encoding lacks become question marks instead of errors."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def json_line(value: object) -> str:
    """Make one line of JSON, in which what steers a terminal is escaped.

    It is plain ASCII where standard output is not in a Unicode encoding.
    """
    line = json.dumps(value, ensure_ascii=not (sys.stdout.encoding or "").lower().startswith("utf"))
    return _STEERING.sub(lambda sign: f"\\u{ord(sign[0]):04x}", line)


def is_terminal(*, errors: bool = False) -> bool:
    """Whether standard output, or standard error for `errors`, is a terminal for rich."""
    stream = direct(sys.stderr if errors else sys.stdout)
    if not (stream.isatty() or _RICH_READS & os.environ.keys()):
        return False
    return console(errors=errors).is_terminal


def console(*, errors: bool = False, theme: Theme | None = None) -> Console:
    """Rich's console on standard output, or standard error for `errors`; text is made harmless."""
    stream = direct(sys.stderr if errors else sys.stdout)
    made = _harmless_console()(file=stream, stderr=errors, theme=theme)
    if not made.width:  # COLUMNS=0, which some say who do not know
        made.width = _USUAL_WIDTH
    return made


@functools.cache
def _harmless_console() -> type[Console]:
    """Rich's console, whose pieces of text are made harmless one by one."""
    from rich.console import Console

    class HarmlessConsole(Console):
        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else _harmless_segment(segment)

    return HarmlessConsole


def _harmless_segment(segment: Segment) -> Segment:
    """A piece of text that steers nothing, and that no click follows elsewhere than it says."""
    from rich.segment import Segment

    style = segment.style
    if style and style.link:
        style = style.update_link(None)
    return Segment(harmless(segment.text), style)
