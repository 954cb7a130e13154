"""The majority vote: which answer leads. One chain, one vote; confidence only breaks ties."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from minireason import answers
from minireason.voting.solution import Candidate

A = TypeVar("A")

WINDOW_TOKENS, SHORTEST_WINDOW_TOKENS = 2048, 256


@dataclass(slots=True)
class _Class(Generic[A]):
    """Votes for answers that are the same, a confidence (or None) for each chain.

    The first answer stands for all, since sameness need not be transitive.
    """

    answer: A
    key: str
    votes: dict[int, float | None] = field(default_factory=dict)

    @property
    def known(self) -> list[float]:
        """The confidences that are known."""
        return [confidence for confidence in self.votes.values() if confidence is not None]

    @property
    def rank(self) -> tuple[int, float]:
        """What decides who leads: the votes, then the mean confidence."""
        known = self.known
        mean = sum(known) / len(known) if known else 0.0
        return len(self.votes), mean


class Ballot(Generic[A]):
    """Collects votes into classes of answers that are the same, in the order in which chains end.

    `key` gives an answer's canonical form; equal ones are the same answer, of others `same`
    decides. A vote counts by one assignment, so that one which an interruption cut off can be cast
    again.
    """

    def __init__(self, same: Callable[[A, A], bool], key: Callable[[A], str]) -> None:
        self._same, self._key = same, key
        self._classes: list[_Class[A]] = []
        self._by_key: dict[str, _Class[A]] = {}

    def add(self, chain: int, answer: A, confidence: float | None = None) -> None:
        """Cast the vote of a chain; answers with other keys are compared once a class."""
        key = self._key(answer)
        group = self._by_key.get(key) or self._group_of(answer, key)
        self._by_key[key] = group
        group.votes[chain] = confidence

    def _group_of(self, answer: A, key: str) -> _Class[A]:
        """The class of the same answers, a new one if there is none."""
        for group in self._classes:
            if self._same(group.answer, answer):
                return group
        group = _Class(answer, key)
        self._classes.append(group)
        return group

    def group(self, chain: int) -> int | None:
        """The number of the class that a chain voted for, None if it has not voted."""
        chosen = (number for number, group in enumerate(self._classes) if chain in group.votes)
        return next(chosen, None)

    @property
    def votes(self) -> list[int]:
        """Votes of each class, most first."""
        return sorted((len(group.votes) for group in self._voted()), reverse=True)

    @property
    def first_for_leader(self) -> int | None:
        """The chain that voted first for the answer that leads; None if nobody has voted."""
        voted = self._voted()
        return next(iter(max(voted, key=lambda group: group.rank).votes)) if voted else None

    def candidates(self: Ballot[str]) -> tuple[Candidate, ...]:
        """The classes, the leader first.

        On a tie it is the one with the higher mean confidence, then the one voted for first.
        """
        total = sum(self.votes)
        ordered = sorted(self._voted(), key=lambda group: group.rank, reverse=True)
        return tuple(
            Candidate(
                answer=group.answer,
                key=group.key,
                votes=len(group.votes),
                share=len(group.votes) / total,
                chains=tuple(group.votes),
                confidence=max(group.known, default=None),
            )
            for group in ordered
        )

    def _voted(self) -> list[_Class[A]]:
        return [group for group in self._classes if group.votes]


def of_answers(*, structured: bool = False) -> Ballot[str]:
    """A ballot of answers as they are written; structured ones are the same if their JSON is."""
    return Ballot(operator.eq, canonical) if structured else Ballot(answers.same, answers.key)


def of_groups() -> Ballot[int]:
    """A ballot of answers that were compared before: each is the number of its class."""
    return Ballot(operator.eq, str)


def canonical(text: str) -> str:
    """JSON in one form of the many that mean the same; any other text as it is."""
    try:
        return json.dumps(json.loads(text), sort_keys=True, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def tail_confidence(confidences: Sequence[float]) -> float | None:
    """Mean confidence of a chain's last tokens: the last quarter, 256 to 2,048 of them.

    DeepConf's tail confidence (arXiv 2508.15260).
    """
    window = min(WINDOW_TOKENS, max(SHORTEST_WINDOW_TOKENS, len(confidences) // 4))
    tail = confidences[-window:]
    return sum(tail) / len(tail) if len(tail) else None
