"""How likely the tokens of a reply were, out of what the server tells of them."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from minireason.backends.base import StreamOptions
from minireason.backends.remote.pieces import Piece
from minireason.events import TokenLogprob

LEAST = -9999.0
"""What servers write for the log-probability of a token that is next to impossible."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What of the answer came with a piece."""

    chars: tuple[int, int]
    """Characters of the answer's text that were out before it and after it."""

    last_bytes: int | None
    """It ends with so many bytes of the answer; None: it is nothing else."""

    undecided: bool
    """Whether it is not known yet if it belongs to the answer."""


class Scores:
    """Collects the confidences and the log-probabilities that the options ask for."""

    def __init__(self, options: StreamOptions) -> None:
        self.confidences = array("f")
        """See `ReplyStream.confidences`."""
        self.logprobs: list[TokenLogprob] = []
        """See `KnowsLogprobs.logprobs`."""
        self._alternatives, self._watches = options.logprobs, options.watch_confidence
        self._undecided: list[TokenLogprob] = []

    def add(self, piece: Piece, answered: Answered) -> None:
        """Take in the tokens of a piece."""
        if self._alternatives is None and not self._watches:
            return
        tokens = [token for told in piece.logprobs if (token := read(told))]
        if self._watches:
            tops = ([logprob for _, logprob in token.top] for token in tokens)
            self.confidences.extend(one for top in tops if (one := confidence(top)) is not None)
        if self._alternatives is None or (piece.finish and not piece.text):
            return  # the end of the text is none of its tokens
        self._undecided += (replace(token, top=token.top[: self._alternatives]) for token in tokens)
        if answered.undecided:
            return
        tokens, self._undecided = self._undecided, []
        if answered.last_bytes is not None:
            tokens = _last(tokens, answered.last_bytes)
        self.logprobs += self._placed(tokens, answered)

    def told(self, fields: Mapping[str, Any]) -> None:
        """Take in the confidences that our own server tells at the end of a reply."""
        values = fields.get("confidences")
        if self._watches and isinstance(values, list):
            self.confidences = array(
                "f", [value for value in map(_number, values) if value is not None]
            )

    def _placed(self, tokens: Sequence[TokenLogprob], answered: Answered) -> list[TokenLogprob]:
        """The tokens, cut to what was asked for, each with the characters that were out by then."""
        begin, end = answered.chars
        placed, text = list[TokenLogprob](), b""
        for token in tokens:
            text += token.token
            shown = text.decode("utf-8", "ignore").rstrip()  # white space waits for what follows
            chars = begin + len(shown if begin else shown.lstrip())
            placed.append(replace(token, text_end=min(chars, end)))
        return [*placed[:-1], *(replace(last, text_end=end) for last in placed[-1:])]


def confidence(top: Sequence[float]) -> float | None:
    """Minus the mean log-probability of the likeliest tokens, None where none is told.

    The formula of `engine.confidence` (DeepConf, arXiv 2508.15260), over as many as the server
    tells. Over 20, as there, it comes to the same; over fewer it is lower.
    """
    known = [logprob for logprob in top if logprob > LEAST]
    return -sum(known) / len(known) if known else None


def read(told: Any) -> TokenLogprob | None:
    """What OpenAI's shape says of a token; None where it makes no sense."""
    own = _scored(told)
    if own is None:
        return None
    likeliest = told.get("top_logprobs")
    listed = likeliest if isinstance(likeliest, list) else []
    top = sorted((one for one in map(_scored, listed) if one), key=lambda one: -one[1])
    return TokenLogprob(*own, tuple(top), 0)


def _scored(told: Any) -> tuple[bytes, float] | None:
    """A token and its log-probability."""
    if not isinstance(told, Mapping):
        return None
    logprob, text, octets = _number(told.get("logprob")), told.get("token"), told.get("bytes")
    if logprob is None or not isinstance(text, str):
        return None
    try:
        return (bytes(octets) if isinstance(octets, list) else text.encode()), logprob
    except (TypeError, ValueError):
        return text.encode("utf-8", "replace"), logprob


def _number(value: Any) -> float | None:
    """A number that a logarithm of a probability can be."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) <= -LEAST else None


def _last(tokens: list[TokenLogprob], size: int) -> list[TokenLogprob]:
    """The last tokens, as many as have so many bytes together."""
    first = len(tokens)
    while first and size > 0:
        first -= 1
        size -= len(tokens[first].token)
    return tokens[first:]
