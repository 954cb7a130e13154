"""What is written of a scripted reply."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from minireason.errors import UsageError, shown
from minireason.events import ThinkingEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedReply:
    """One reply as it is written, `thinking` and `answer` whole or in pieces, a token each.

    `confidence` is said of each of its tokens, `logprob` of each of its answer. `thinking_end` is
    what the reply says of a thought that was not cut off, such as "loop". `error` is raised to
    whoever reads the stream, after all that is written.
    """

    answer: str | Sequence[str] = ""
    thinking: str | Sequence[str] = ""
    confidence: float = 0.0
    logprob: float = 0.0
    thinking_end: ThinkingEnd = "natural"
    error: Exception | None = None

    def __post_init__(self) -> None:
        for name, value in (("answer", self.answer), ("thinking", self.thinking)):
            listed = isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
            if not listed and not isinstance(value, str):
                raise UsageError(
                    f"The {name} of a scripted reply is text or a list of texts, and not "
                    f"{shown(value)}."
                )
        if not isinstance(self.error, Exception | None):
            raise UsageError(
                f"The error of a scripted reply is an exception to raise, and not "
                f"{shown(self.error)}."
            )


def pieces(text: str | Sequence[str]) -> list[str]:
    """The tokens of a text: words with the white space before them, or the pieces as written."""
    return re.findall(r"\s*\S+|\s+\Z", text) if isinstance(text, str) else list(text)
