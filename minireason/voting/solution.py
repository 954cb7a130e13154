"""What a solved question comes to: chains, the vote over their answers, events on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from minireason.events import AnswerDelta, FinishReason, ThinkingDelta, ThinkingEnd

StoppedBecause: TypeAlias = Literal[
    "all_done", "lead", "beta", "budget_tokens", "budget_s", "cancelled"
]


@dataclass(frozen=True, slots=True)
class Chain:
    """One chain of thought of a vote.

    `text` is the answer as written, `answer` the final answer found in it (None: none, so it does
    not vote), `key` its canonical form. `seed` and `temperature` repeat it. `tokens` counts all it
    generated, `answer_tokens` those of its text. `confidence` is that of its last tokens (see
    `voting.ballot.tail_confidence`). Of a structured answer the `answer` is the whole text,
    `parsed` its typed value; such answers are the same only if their JSON is. `replaced` says that
    it went round in circles and another one ran for it.
    """

    index: int
    seed: int
    temperature: float
    thinking: str
    text: str
    answer: str | None
    key: str | None
    finish: FinishReason
    thinking_end: ThinkingEnd | None
    tokens: int
    confidence: float | None
    total_s: float
    parsed: Any = None
    replaced: bool = False
    answer_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """Answers that are the same, as first written.

    `share` is theirs of all votes, `chains` are the indices of those that came to it, `confidence`
    is the best of theirs.
    """

    answer: str
    key: str
    votes: int
    share: float
    chains: tuple[int, ...]
    confidence: float | None


@dataclass(frozen=True, slots=True)
class SolveTokens:
    """Tokens of all chains: `generated` counts every one, `cancelled` those of stopped chains."""

    prompt: int
    generated: int
    cancelled: int

    @property
    def total(self) -> int:
        """The prompt, read once, and everything generated."""
        return self.prompt + self.generated


@dataclass(frozen=True, slots=True)
class Solution:
    """The answer that most chains came to.

    `answer` is None if no chain ended in an answer that could be compared, `parsed` the typed value
    of a structured one. `best` is the index of the chain to show: the most confident one of the
    winning answer, or, without any answer, of all that ended by themselves (`notes` say so).
    `agreement` is the winner's share of the votes: how sure the model is, not how likely it is
    right. `planned` chains were asked for, and `parallel` ran at a time. `seed` repeats the chains'
    seeds, and the texts up to the last bits of a batch.
    """

    model: str
    answer: str | None
    parsed: Any
    agreement: float
    candidates: tuple[Candidate, ...]
    chains: tuple[Chain, ...]
    best: int | None
    stopped_because: StoppedBecause
    planned: int
    parallel: int
    seed: int
    tokens: SolveTokens
    total_s: float
    notes: tuple[str, ...]


def best_chain(chains: Sequence[Chain], leader: Candidate | None) -> int | None:
    """The index of the most confident chain: of the leader's voters, if there is a leader.

    Else of all that ended by themselves with any text; None if there is none.
    """
    if leader is None:
        eligible = [chain for chain in chains if chain.finish == "stop" and chain.text]
    else:
        eligible = [chain for chain in chains if chain.index in leader.chains]
    return max(eligible, key=lambda chain: chain.confidence or 0.0).index if eligible else None


@dataclass(frozen=True, slots=True)
class ChainStarted:
    """A chain got a slot; `replaces` is the index of the one that went round in circles."""

    index: int
    seed: int
    replaces: int | None = None


@dataclass(frozen=True, slots=True)
class ChainDelta:
    """A chain's next piece of thinking or answer, and how many tokens it has now."""

    index: int
    delta: ThinkingDelta | AnswerDelta
    tokens: int


@dataclass(frozen=True, slots=True)
class ChainAnswered:
    """A chain ended by itself, with an answer or (`chain.answer` None) without."""

    chain: Chain


@dataclass(frozen=True, slots=True)
class ChainCancelled:
    """A chain was stopped; it does not vote."""

    chain: Chain


@dataclass(frozen=True, slots=True)
class VoteChanged:
    """The candidates after a vote, the leader first; `open` chains may still vote."""

    candidates: tuple[Candidate, ...]
    open: int


@dataclass(frozen=True, slots=True)
class Decided:
    """No more chains are needed, or allowed."""

    because: StoppedBecause


@dataclass(frozen=True, slots=True)
class Solved:
    """The last event of every solve stream."""

    solution: Solution


SolveEvent: TypeAlias = (
    ChainStarted | ChainDelta | ChainAnswered | ChainCancelled | VoteChanged | Decided | Solved
)
