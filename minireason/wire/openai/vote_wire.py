"""How a vote is written as a chat completion: its events on the way, then the winning text.

Every event of the vote is a chunk whose delta is empty and whose `minireason.event` tells it.
Clients that know nothing of votes see a pause, and then the reply of the chain that stands for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minireason.events import AnswerDelta, Event
from minireason.voting.solution import (
    Candidate,
    Chain,
    ChainAnswered,
    ChainCancelled,
    ChainDelta,
    ChainStarted,
    Decided,
    SolveEvent,
    VoteChanged,
)
from minireason.wire.call import Origin, Outcome
from minireason.wire.errors import ApiError
from minireason.wire.openai.chat_wire import EMPTY, KIND, ChatChunks, ChatStyle, whole_choice
from minireason.wire.openai.shapes import (
    EVENT_STREAM,
    PING,
    compact,
    data_line,
    error_body,
    finish_reason,
    whole_completion,
)
from minireason.wire.openai.thought import Deltas, message
from minireason.wire.ours import extra


class VoteWire:
    """A vote."""

    media_type = EVENT_STREAM

    def __init__(self, origin: Origin, style: ChatStyle) -> None:
        self._origin, self._style = origin, style
        self._chunks = ChatChunks(origin, style)

    def begin(self) -> Iterable[bytes]:
        """See `Wire.begin`."""
        return [self._chunks.first(0)]

    def event(self, index: int, event: Event | SolveEvent) -> Iterable[bytes]:
        """See `Wire.event`."""
        told = _told(event)
        if told is None:
            return ()
        more = f',"minireason":{{"event":{compact(told)}}}'
        return (self._chunks.delta(0, "{}", more=more),)

    def ping(self) -> bytes:
        """See `Wire.ping`."""
        return PING

    def end(self, outcome: Outcome) -> Iterable[bytes]:
        """See `Wire.end`: the reply of the chain that stands for the vote, and what was counted."""
        chain = _shown(outcome)
        if chain is not None:
            deltas = Deltas(self._style.field)
            thought = deltas.thinking(chain.thinking) if chain.thinking else ""
            for delta in (thought, deltas.answer(chain.text)):
                if delta:
                    yield self._chunks.delta(0, delta)
        fields = {"minireason": extra(self._origin, outcome)}
        yield self._chunks.last(0, EMPTY, finish_reason(chain), fields)
        yield from self._chunks.end(outcome, {})

    def fail(self, error: ApiError) -> Iterable[bytes]:
        """See `Wire.fail`."""
        return [data_line(error_body(error, self._origin.request_id))]

    def whole(self, outcome: Outcome) -> object:
        """See `Wire.whole`."""
        chain = _shown(outcome)
        thinking, text = (chain.thinking, chain.text) if chain else ("", "")
        told = message(self._style.field, thinking, text)
        choice = whole_choice(0, told, finish_reason(chain))
        return whole_completion(self._origin, KIND, outcome, [choice])


def _shown(outcome: Outcome) -> Chain | None:
    """The chain whose text stands for a vote: the best, or the first that said anything."""
    solution = outcome.solution
    if solution is None:
        return None
    if solution.best is not None:
        return next(chain for chain in solution.chains if chain.index == solution.best)
    return next((chain for chain in solution.chains if chain.text or chain.thinking), None)


def _told(event: Event | SolveEvent) -> dict[str, Any] | None:
    """An event of a vote as the stream tells it; None for the last, which `end` tells."""
    match event:
        case ChainDelta(index, delta, tokens):
            kind = "answer" if isinstance(delta, AnswerDelta) else "thinking"
            told = {"index": index, "kind": kind, "text": delta.text, "tokens": tokens}
            return {"type": "chain_delta", **told}
        case ChainStarted(index, seed):
            return {"type": "chain_started", "index": index, "seed": seed}
        case ChainAnswered(chain):
            return {
                "type": "chain_answered",
                "index": chain.index,
                "answer": chain.answer,
                "text": chain.text,
                "tokens": chain.tokens,
                "thinking_end": chain.thinking_end,
            }
        case ChainCancelled(chain):
            return {"type": "chain_cancelled", "index": chain.index}
        case VoteChanged(candidates, still_open):
            told = {"candidates": list(map(_candidate, candidates)), "open": still_open}
            return {"type": "vote", **told}
        case Decided(because):
            return {"type": "decided", "because": because}
        case _:
            return None


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        "answer": candidate.answer,
        "votes": candidate.votes,
        "share": candidate.share,
        "chains": list(candidate.chains),
    }
