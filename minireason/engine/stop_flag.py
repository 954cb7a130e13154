"""A flag that llama.cpp looks at while it computes."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

from minireason.engine.library import C

_libc = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None)


class StopFlag:
    """Ends a computation on the CPU early, once it is set.

    llama.cpp calls an abort callback before each node of a graph. One of Python would need the GIL
    each time. `strlen` of libc is one as well: of one byte and a zero after it, it gives 1 if the
    byte is set and else 0, which is a bool, and it costs nothing. Setting the flag writes the byte.
    """

    def __init__(self) -> None:
        self._text = ctypes.create_string_buffer(2)
        self.callback: Any = ctypes.cast(_libc.strlen, C.ggml_abort_callback)
        self.data = ctypes.c_void_p(ctypes.addressof(self._text))

    @property
    def is_set(self) -> bool:
        """Whether somebody wants an end."""
        return self._text.raw[0] != 0

    def set(self) -> None:
        """Ask for an end, from any thread."""
        self._text[0] = b"\x01"

    def clear(self) -> None:
        """Let the next computation run."""
        self._text[0] = b"\x00"
