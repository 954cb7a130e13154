"""What the replies of the OpenAI APIs have in common: usage, timings, errors, lines of a stream."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from minireason.events import Reply
from minireason.version import __version__
from minireason.voting.solution import Chain, Solution
from minireason.wire.call import Origin, Outcome
from minireason.wire.errors import ApiError
from minireason.wire.ours import extra, output_tokens

FINGERPRINT = f"minireason-{__version__}"
"""The `system_fingerprint` of every reply."""

EVENT_STREAM = "text/event-stream; charset=utf-8"
"""The media type of server-sent events."""

PING = b": ping\n\n"
"""A comment, which keeps a silent stream open."""

DONE = b"data: [DONE]\n\n"
"""The last line of a stream of completions."""


def head(origin: Origin, kind: str) -> dict[str, Any]:
    """What a completion of this `object` begins with, and each chunk of one."""
    return {
        "id": origin.id,
        "object": kind,
        "created": origin.created,
        "model": origin.model,
        "system_fingerprint": FINGERPRINT,
    }


def whole_completion(
    origin: Origin, kind: str, outcome: Outcome, choices: list[dict[str, Any]]
) -> dict[str, Any]:
    """A whole completion; a vote has no times."""
    times = {"timings": timings(outcome.replies)} if outcome.replies else {}
    told = {"usage": usage(tally(outcome)), **times, "minireason": extra(origin, outcome)}
    return {**head(origin, kind), "choices": choices, **told}


def error_body(error: ApiError, request_id: str) -> dict[str, Any]:
    """An error in OpenAI's shape."""
    told = {
        "message": error.message,
        "type": error.kind,
        "param": error.param,
        "code": error.code,
    }
    return {"error": told, "minireason": {"request_id": request_id}}


def error_shape(error: ApiError, origin: Origin) -> dict[str, Any]:
    """An error of a call, see `error_body`."""
    return error_body(error, origin.request_id)


compact = json.JSONEncoder(separators=(",", ":")).encode
"""JSON without blanks, in ASCII: some clients break lines at any of Unicode's line ends."""


def data_line(value: object) -> bytes:
    """An event of a stream."""
    return f"data: {compact(value)}\n\n".encode()


@dataclass(frozen=True, slots=True)
class Tally:
    """The tokens of a call.

    `completion` counts everything that was generated or put in, of all replies; `answer` what the
    model wrote as answers. `cached` is None where it is not known.
    """

    prompt: int
    cached: int | None
    completion: int
    answer: int

    @property
    def reasoning(self) -> int:
        """All that is no answer: the thoughts, and the forced tokens that led out of them."""
        return self.completion - self.answer


def tally(outcome: Outcome) -> Tally:
    """Count a call's tokens. The prompt of several replies is read once, and counts once."""
    if outcome.solution is not None:
        return _tally_of_vote(outcome.solution)
    counts = [reply.usage for reply in outcome.replies]
    return Tally(
        prompt=counts[0].prompt_tokens,
        cached=min(usage.cached_tokens for usage in counts),
        completion=sum(map(output_tokens, outcome.replies)),
        answer=sum(usage.answer_tokens for usage in counts),
    )


def _tally_of_vote(solution: Solution) -> Tally:
    return Tally(
        prompt=solution.tokens.prompt,
        cached=None,
        completion=solution.tokens.generated,
        answer=sum(chain.answer_tokens for chain in solution.chains),
    )


def usage(counts: Tally) -> dict[str, Any]:
    """`usage` of a completion, with OpenAI's and DeepSeek's names for what was cached."""
    told: dict[str, Any] = {
        "prompt_tokens": counts.prompt,
        "completion_tokens": counts.completion,
        "total_tokens": counts.prompt + counts.completion,
        "completion_tokens_details": {"reasoning_tokens": counts.reasoning},
    }
    if counts.cached is not None:
        told |= {
            "prompt_tokens_details": {"cached_tokens": counts.cached},
            "prompt_cache_hit_tokens": counts.cached,
            "prompt_cache_miss_tokens": counts.prompt - counts.cached,
        }
    return told


def timings(replies: Sequence[Reply]) -> dict[str, Any]:
    """Times in llama-server's shape; of several replies those of all together."""
    counts = tally(Outcome(tuple(replies)))
    prompt_ms = 1000 * min(reply.timings.prefill_s for reply in replies)
    predicted_ms = max(0.0, 1000 * max(reply.timings.total_s for reply in replies) - prompt_ms)
    cached = counts.cached or 0
    return {
        "cache_n": cached,
        **_pace("prompt", counts.prompt - cached, prompt_ms),
        **_pace("predicted", counts.completion, predicted_ms),
    }


def _pace(name: str, tokens: int, milliseconds: float) -> dict[str, Any]:
    return {
        f"{name}_n": tokens,
        f"{name}_ms": round(milliseconds, 3),
        f"{name}_per_token_ms": round(milliseconds / tokens, 3) if tokens else 0.0,
        f"{name}_per_second": round(1000 * tokens / milliseconds, 3) if milliseconds else 0.0,
    }


def finish_reason(reply: Reply | Chain | None) -> str:
    """Why a reply ended, in OpenAI's words; "length" says of any that it was cut off."""
    if reply is None:
        return "length"
    reason = reply.finish if isinstance(reply, Chain) else reply.finish_reason
    return "stop" if reason == "stop" else "length"
