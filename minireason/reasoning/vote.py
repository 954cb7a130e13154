"""Which answer leads, and may the other chains stop. One chain, one vote; confidence only breaks ties."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from minireason import answers
from minireason.settings import VoteSettings
from minireason.solution import Candidate, StoppedBecause

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


def decided(votes: Sequence[int], still_open: int, settings: VoteSettings) -> StoppedBecause | None:
    """Why no more chains are needed, None if they are; `votes` most first, `still_open` chains may yet vote.

    "lead" loses nothing: the second could not even draw level if it got all that are open. "beta" adds: from `min_votes`
    on, the leader is the model's favourite with probability `stop_threshold`. As it looks after every vote the true
    probability is somewhat lower, and it says nothing of the answer being right.
    """
    if not still_open:
        return "all_done"
    if settings.stop == "none" or not votes:
        return None
    first, second = votes[0], votes[1] if len(votes) > 1 else 0
    if first - second > still_open:
        return "lead"
    if (
        settings.stop == "beta"
        and sum(votes) >= settings.min_votes
        and leader_is_favourite(first, second) >= settings.stop_threshold
    ):
        return "beta"
    return None


def worth_at_once(planned: int, settings: VoteSettings) -> int:
    """How many of the planned chains to run at a time, where memory and machine allow: half of them, since the other half may
    never be needed, unless all are to run anyway."""
    return (
        planned
        if settings.stop == "none"
        else min(planned, max(settings.min_votes, -(-planned // 2)))
    )


@functools.cache
def leader_is_favourite(first: int, second: int) -> float:
    """P(p1 > p2) for p1 ~ Beta(first + 1, second + 1), p2 = 1 - p1 (Adaptive-Consistency, arXiv 2305.11860), in closed form."""
    trials = first + second + 1
    ways = sum(math.comb(trials, successes) for successes in range(first + 1))
    return float(ways / 2**trials)


def tail_confidence(confidences: Sequence[float]) -> float | None:
    """Mean confidence of a chain's last tokens (DeepConf's tail, arXiv 2508.15260): the last quarter, 256 to 2,048 of them."""
    window = min(WINDOW_TOKENS, max(SHORTEST_WINDOW_TOKENS, len(confidences) // 4))
    tail = confidences[-window:]
    return sum(tail) / len(tail) if len(tail) else None
