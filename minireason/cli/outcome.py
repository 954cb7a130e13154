"""How a command ends: one rule for replies that are not whole, in every command and also in a pipe.

What is missing is a line on standard error and exit code 7; after Ctrl-C it is 130.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from minireason.events import Reply

if TYPE_CHECKING:
    from minireason.voting.solution import Solution

NOT_SAVED, PARTLY_DONE, INTERRUPTED = 6, 7, 130

NO_ANSWER = {
    "length": (
        "The tokens ran out before there was an answer; allow more with --max-tokens or --ctx."
    ),
    "cancelled": "Stopped before there was an answer.",
    "stop": "The model ended without an answer; ask again, or with another --seed.",
}
CUT_OFF = "The answer was cut off; allow more with --max-tokens or --ctx."
CUT_OFF_FORM = (
    "The answer was cut off before it was whole; allow more with --max-tokens, or bound it more "
    "tightly."
)
UNFIT = "The answer does not fit what was asked for; ask again, or with another --seed."
NO_RESULT = "The vote has no result: no chain ended in an answer that can be compared with others."


def missing(reply: Reply, *, structured: bool, served: bool = False) -> str | None:
    """What a reply lacks, in one sentence; None if it is whole, or was stopped with some answer.

    `served`: by a server, where no option of ours makes the context larger.
    """
    problem = _missing(reply, structured)
    if problem and served:
        return problem.replace("--ctx", "a server with more context")
    return problem


def _missing(reply: Reply, structured: bool) -> str | None:
    if not reply.answer.strip():
        return NO_ANSWER[reply.finish_reason]
    if reply.finish_reason == "length":
        return CUT_OFF_FORM if structured else CUT_OFF
    is_null = reply.answer.strip() == "null"
    if structured and reply.finish_reason == "stop" and reply.parsed is None and not is_null:
        return UNFIT
    return None


def of_reply(reply: Reply, *, structured: bool) -> int:
    """The exit code that a reply means."""
    if reply.finish_reason == "cancelled":
        return INTERRUPTED
    return PARTLY_DONE if missing(reply, structured=structured) else 0


def of_solution(solution: Solution) -> int:
    """The exit code that a vote means; it is whole if it has a result, whatever stopped it."""
    if solution.stopped_because == "cancelled":
        return INTERRUPTED
    return PARTLY_DONE if solution.answer is None else 0
