"""Log-probabilities in OpenAI's shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minireason.events import TokenLogprob

LEAST = -9999.0
"""What OpenAI writes for a token that is next to impossible."""


def of_chat(tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
    """`logprobs` of a choice of a chat completion."""
    return {"content": of_tokens(tokens), "refusal": None}


def of_tokens(tokens: Sequence[TokenLogprob]) -> list[dict[str, Any]]:
    """The tokens, each with the likeliest in its place."""
    return [
        {
            **_token(one.token, one.logprob),
            "top_logprobs": [_token(token, logprob) for token, logprob in one.top],
        }
        for one in tokens
    ]


def _token(token: bytes, logprob: float) -> dict[str, Any]:
    text = token.decode("utf-8", "replace")
    return {"token": text, "logprob": max(logprob, LEAST), "bytes": list(token)}


def of_text(tokens: Sequence[TokenLogprob], offset: int = 0) -> dict[str, Any]:
    """`logprobs` of a choice of a completion, whose first token begins at `offset`."""
    ends = [one.text_end for one in tokens]
    top = [
        {token.decode("utf-8", "replace"): max(logprob, LEAST) for token, logprob in one.top}
        for one in tokens
    ]
    return {
        "tokens": [one.token.decode("utf-8", "replace") for one in tokens],
        "token_logprobs": [max(one.logprob, LEAST) for one in tokens],
        "top_logprobs": top if any(top) else None,
        "text_offset": [offset, *ends[:-1]] if ends else [],
    }
