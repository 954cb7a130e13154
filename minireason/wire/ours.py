"""What every API tells beside its own fields, in the extra field `minireason`."""

from __future__ import annotations

from typing import Any

from minireason.events import Reply
from minireason.voting.solution import Chain, Solution
from minireason.wire.call import Origin, Outcome

MOST_CONFIDENT = 9999.0
"""What is written for a confidence beyond all numbers."""


def extra(origin: Origin, outcome: Outcome) -> dict[str, Any]:
    """How a call came to its end; a budget only where it was clamped.

    Of several choices it tells each in `choices`.
    """
    told: dict[str, Any] = {"request_id": origin.request_id}
    if outcome.clamped_budget is not None:
        told["thinking_budget"] = outcome.clamped_budget
    if outcome.solution is not None:
        return told | _of_vote(outcome.solution)
    replies = [_of_reply(reply) for reply in outcome.replies]
    for fields, confidences in zip(replies, outcome.confidences, strict=False):
        fields["confidences"] = [_shortened(confidence) for confidence in confidences]
    return told | (replies[0] if len(replies) == 1 else {"choices": replies})


def _of_reply(reply: Reply) -> dict[str, Any]:
    return {
        "thinking_end": reply.thinking_end,
        "forced_tokens": reply.usage.forced_tokens,
        "seed": reply.seed,
    }


def _shortened(confidence: float) -> float:
    """A confidence in few digits; what no JSON has, of a token next to impossible, is cut."""
    return round(min(confidence, MOST_CONFIDENT), 4)


def _of_vote(solution: Solution) -> dict[str, Any]:
    candidates = [
        {
            "answer": candidate.answer,
            "votes": candidate.votes,
            "share": candidate.share,
            "chains": list(candidate.chains),
            "confidence": candidate.confidence,
        }
        for candidate in solution.candidates
    ]
    return {
        "answer": solution.answer,
        "agreement": solution.agreement,
        "candidates": candidates,
        "chains": [_of_chain(chain) for chain in solution.chains],
        "stopped_because": solution.stopped_because,
        "seed": solution.seed,
        "notes": list(solution.notes),
    }


def _of_chain(chain: Chain) -> dict[str, Any]:
    return {
        "index": chain.index,
        "seed": chain.seed,
        "answer": chain.answer,
        "text": chain.text,
        "thinking": chain.thinking,
        "tokens": chain.tokens,
        "thinking_end": chain.thinking_end,
        "finish": chain.finish,
    }


def output_tokens(reply: Reply) -> int:
    """All tokens of a reply, as `max_tokens` counts them: thinking, answer and forced ones."""
    usage = reply.usage
    return usage.thinking_tokens + usage.answer_tokens + usage.forced_tokens
