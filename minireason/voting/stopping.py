"""When a vote is over before all its chains have ended, without a preference for short ones.

Chains that have ended early are short ones, and wrong chains may be shorter, or longer, than right
ones. So what has ended at some moment is no fair sample. The first chains in the planned order are
one: their votes do not depend on how long they take. The rule "beta" looks at those alone, and
counts each of them that still runs as a vote against the leader.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Sequence
from enum import Enum
from typing import TypeAlias

from minireason.settings import VoteSettings
from minireason.voting.solution import StoppedBecause


class NoVote(Enum):
    """Why a chain that was started has no vote: it still runs, or it came to no answer."""

    RUNNING = "running"
    ABSTAINED = "abstained"


Place: TypeAlias = int | NoVote
"""What a planned chain has come to: the number of the answer it voted for, or why it has none."""


def decided(
    started: Sequence[Place], planned: int, settings: VoteSettings
) -> StoppedBecause | None:
    """Why no more chains are needed, None if they are.

    `started` holds the chains in the order in which they were planned, as far as they have been
    started; `planned` counts all. "lead" loses nothing: the second could not draw level even with
    the votes of all chains that are open. "beta" adds: the leader would most probably stay the
    leader (see `leader_stays`), and says nothing of the answer being right.
    """
    still_open = planned - len(started) + started.count(NoVote.RUNNING)
    if not still_open:
        return "all_done"
    if settings.stop == "none":
        return None
    votes = Counter([place for place in started if isinstance(place, int)]).most_common(2)
    if not votes:
        return None
    leader, first = votes[0]
    second = votes[1][1] if len(votes) > 1 else 0
    if first - second > still_open:
        return "lead"
    if settings.stop == "beta" and first > second and _stays(started, planned, leader, settings):
        return "beta"
    return None


def _stays(started: Sequence[Place], planned: int, leader: int, settings: VoteSettings) -> bool:
    """Whether the first chains, so many as make it likeliest, say that the leader stays."""
    rivals: Counter[int] = Counter()
    mine = votes = running = strongest = 0
    for count, place in enumerate(started, 1):
        if place is NoVote.RUNNING:
            running += 1
        elif isinstance(place, int):
            votes += 1
            if place == leader:
                mine += 1
            else:
                rivals[place] += 1
                strongest = max(strongest, rivals[place])
        against = strongest + running
        if votes < settings.min_votes or mine <= against:
            continue
        if leader_stays(mine, against, planned - count) >= settings.stop_threshold:
            return True
    return False


@functools.lru_cache(4096)
def leader_stays(first: int, second: int, to_come: int) -> float:
    """The probability that who leads by `first` to `second` votes leads after `to_come` more.

    Of two answers, each vote for the first with a probability that is itself drawn from
    Beta(first + 1, second + 1): the model of Adaptive-Consistency (arXiv 2305.11860), asked about
    the end of this vote and not of an endless one. A draw counts half.
    """
    whole = _log_ways(first + second + 1, to_come)
    share = 0.0
    for gained in range(to_come + 1):
        lead = first + gained - (second + to_come - gained)
        if lead < 0:
            continue
        ways = _log_ways(first, gained) + _log_ways(second, to_come - gained)
        share += math.exp(ways - whole) * (0.5 if lead == 0 else 1.0)
    return min(share, 1.0)


def _log_ways(seen: int, to_come: int) -> float:
    """The logarithm of the binomial coefficient (seen + to_come) over to_come."""
    return math.lgamma(seen + to_come + 1) - math.lgamma(to_come + 1) - math.lgamma(seen + 1)


def worth_at_once(planned: int, settings: VoteSettings) -> int:
    """How many of the planned chains to run at a time, where memory and machine allow.

    Half of them, since the other half may never be needed, unless all are to run anyway.
    """
    if settings.stop == "none":
        return planned
    return min(planned, max(settings.min_votes, -(-planned // 2)))
