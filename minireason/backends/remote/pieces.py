"""What a chunk of a chat completion brings, out of the fields of all flavours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_COUNT = 10**12
"""Nobody has more tokens than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One chunk of a reply."""

    id: str = ""
    """The id of the reply."""

    thinking: str = ""
    """A piece of the thought, where the server tells it apart."""

    content: str = ""
    """A piece of the content, or of what OpenAI's models say where they refuse to follow a form."""

    finish: str | None = None
    """Why the reply ended, in the server's word; None while it goes on."""

    usage: Mapping[str, Any] = field(default_factory=dict)
    """Counts of tokens so far."""

    logprobs: Sequence[Any] = ()
    """The log-probabilities of its tokens, as they came."""

    told: Mapping[str, Any] = field(default_factory=dict)
    """What our own server tells beside."""

    size: int = 0
    """Characters of the JSON that it was."""

    @property
    def text(self) -> str:
        """All text that came."""
        return self.thinking + self.content


def read(chunk: Mapping[str, Any], size: int = 0) -> Piece:
    """The piece of a chunk of a stream, or of a whole completion, of so many characters.

    A thought that stands in both fields counts once. Of several choices the one asked for is told.
    """
    choices = chunk.get("choices")
    listed = map(_mapping, choices) if isinstance(choices, list) else ()
    choice = next((one for one in listed if not one.get("index")), {})
    delta = _mapping(choice.get("delta")) or _mapping(choice.get("message"))
    finish = choice.get("finish_reason")
    logprobs = _mapping(choice.get("logprobs")).get("content")
    return Piece(
        id=_text(chunk.get("id")),
        thinking=_text(delta.get("reasoning_content")) or _text(delta.get("reasoning")),
        content=_text(delta.get("content")) or _text(delta.get("refusal")),
        finish=finish if isinstance(finish, str) else None,
        usage=_mapping(chunk.get("usage")),
        logprobs=logprobs if isinstance(logprobs, list) else (),
        told=_mapping(chunk.get("minireason")),
        size=size,
    )


def count(usage: Mapping[str, Any], *path: str) -> int | None:
    """A number in `usage`, None if it is not there or counts nothing that can be."""
    value: Any = usage
    for name in path:
        value = _mapping(value).get(name)
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return value if is_count and 0 <= value <= MAX_COUNT else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    """A text; what JSON allows in one and UTF-8 does not, half of a pair, is a question mark."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""
