"""The log-probability of a token of the answer, as its reader gets it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from minireason.engine.logprobs import RawLogits
from minireason.events import TokenLogprob

TellLogprob: TypeAlias = Callable[[int, int], TokenLogprob]
"""Tells that of the token at hand; the length of the answer's text by now comes with it."""


def teller(raw: RawLogits, piece: Callable[[int], bytes]) -> TellLogprob:
    """Tell it from the raw logits; `piece` gives the bytes of a token."""

    def tell(token: int, text_end: int) -> TokenLogprob:
        own = raw.logprobs(token)
        top = tuple((piece(other), logprob) for other, logprob in own.top)
        return TokenLogprob(piece(token), own.logprob, top, text_end)

    return tell
