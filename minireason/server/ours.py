"""What every API tells beside its own fields, in the extra field `minireason`."""

from __future__ import annotations

from typing import Any

from minireason.events import Reply
from minireason.server.call import Origin, Outcome


def extra(origin: Origin, outcome: Outcome) -> dict[str, Any]:
    """How the thought of the one reply ended, and its counts; a budget only where it was clamped."""
    reply = outcome.replies[0]
    told: dict[str, Any] = {
        "request_id": origin.request_id,
        "thinking_end": reply.thinking_end,
        "forced_tokens": reply.usage.forced_tokens,
        "seed": reply.seed,
    }
    if outcome.clamped_budget is not None:
        told["thinking_budget"] = outcome.clamped_budget
    return told


def output_tokens(reply: Reply) -> int:
    """All tokens of a reply, as `max_tokens` counts them: thinking, answer and forced ones."""
    usage = reply.usage
    return usage.thinking_tokens + usage.answer_tokens + usage.forced_tokens
