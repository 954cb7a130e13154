"""Which answer leads. One chain, one vote; confidence only breaks ties."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from minireason import answers
from minireason.voting.solution import Candidate

WINDOW_TOKENS, SHORTEST_WINDOW_TOKENS = 2048, 256


@dataclass(slots=True)
class _Class:
    """Votes for answers that are the same; the first one stands for all, since sameness need not be transitive."""

    answer: str
    key: str
    chains: list[int] = field(default_factory=list)
    confidences: list[float] = field(default_factory=list)


class Ballot:
    """Collects votes into classes of answers that are the same, in the order in which the chains end.

    `key` gives an answer's canonical form; equal ones are the same answer, of others `same` decides.
    """

    def __init__(
        self,
        same: Callable[[str, str], bool] = answers.same,
        key: Callable[[str], str] = answers.key,
    ) -> None:
        self._same, self._key = same, key
        self._classes: list[_Class] = []
        self._by_key: dict[str, _Class] = {}

    def add(self, chain: int, text: str, confidence: float | None = None) -> None:
        """One vote; pairs with other keys are compared once a class."""
        key = self._key(text)
        found = self._by_key.get(key) or next(
            (other for other in self._classes if self._same(other.answer, text)), None
        )
        if found is None:
            found = _Class(text, key)
            self._classes.append(found)
        self._by_key[key] = found
        found.chains.append(chain)
        if confidence is not None:
            found.confidences.append(confidence)

    def group(self, chain: int) -> int | None:
        """The number of the class that a chain voted for, None if it has not voted."""
        chosen = (number for number, group in enumerate(self._classes) if chain in group.chains)
        return next(chosen, None)

    @property
    def votes(self) -> list[int]:
        """Votes of each class, most first."""
        return sorted((len(group.chains) for group in self._classes), reverse=True)

    def candidates(self) -> tuple[Candidate, ...]:
        """The classes, most votes first; on a tie the one with the higher mean confidence, then the one voted for first."""
        total = sum(self.votes)
        ordered = sorted(
            self._classes, key=lambda group: (-len(group.chains), -_mean(group.confidences))
        )
        return tuple(
            Candidate(
                answer=group.answer,
                key=group.key,
                votes=len(group.chains),
                share=len(group.chains) / total,
                chains=tuple(group.chains),
                confidence=max(group.confidences, default=None),
            )
            for group in ordered
        )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def tail_confidence(confidences: Sequence[float]) -> float | None:
    """Mean confidence of a chain's last tokens (DeepConf's tail, arXiv 2508.15260): the last quarter, 256 to 2,048 of them."""
    window = min(WINDOW_TOKENS, max(SHORTEST_WINDOW_TOKENS, len(confidences) // 4))
    tail = confidences[-window:]
    return sum(tail) / len(tail) if len(tail) else None
