"""What a vote came to: its `Solution`, of what was planned and what became of the chains."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass

from minireason.errors import MinireasonError
from minireason.voting.plan import VotePlan
from minireason.voting.record import Record
from minireason.voting.solution import Solution, SolveTokens, StoppedBecause, best_chain


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is known of a vote that has run, beside its chains."""

    stopped_because: StoppedBecause
    parallel: int
    """How many chains ran at a time in the end."""

    prompt_tokens: int
    failure: MinireasonError | None
    """Why the typed value of an answer could not be made, if that is so of one."""

    total_s: float


def solution_of(plan: VotePlan, record: Record, run: RunFacts) -> Solution:
    """The answer of most chains, and all there is to tell of the vote."""
    chains = tuple(sorted(record.ended, key=operator.attrgetter("index")))
    candidates = record.candidates()
    leader = candidates[0] if candidates else None
    parsed = {chain.index: chain.parsed for chain in chains}
    best = best_chain(chains, leader)
    return Solution(
        model=plan.backend.name,
        answer=leader.answer if leader else None,
        agreement=leader.share if leader else 0.0,
        parsed=parsed[leader.chains[0]] if leader else None,
        candidates=candidates,
        chains=chains,
        best=best,
        stopped_because=run.stopped_because,
        planned=plan.vote.samples,
        parallel=run.parallel,
        seed=plan.seed,
        tokens=SolveTokens(
            prompt=run.prompt_tokens,
            generated=sum(chain.tokens for chain in chains),
            cancelled=sum(chain.tokens for chain in chains if chain.finish == "cancelled"),
        ),
        total_s=run.total_s,
        notes=(*plan.notes, *_notes(run, best, voted=bool(candidates))),
    )


def _notes(run: RunFacts, best: int | None, *, voted: bool) -> Iterator[str]:
    if run.failure:
        yield f"An answer was left out: {run.failure}"
    if not voted:
        shown = "" if best is None else f" Shown is chain {best + 1}, the most confident one."
        yield (
            "No chain ended in an answer that can be compared with others, "
            f"so there was no vote.{shown}"
        )
