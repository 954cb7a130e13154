"""Votes end once they are decided, and charge what stopped chains cost."""

from __future__ import annotations

from minireason import Solution
from tests.backends.contract.places import Model
from tests.server.serving import until


def charged(solution: Solution) -> None:
    """Every chain counts, those that were stopped too."""
    stopped = [chain for chain in solution.chains if chain.finish == "cancelled"]
    assert solution.tokens.cancelled == sum(chain.tokens for chain in stopped)
    assert solution.tokens.generated == sum(chain.tokens for chain in solution.chains)
    assert all(chain.tokens for chain in solution.chains if chain.thinking or chain.text)


def test_a_vote_ends_once_it_is_decided(model: Model) -> None:
    solution = model.reasoner.solve("What is 3 + 4?", samples=8, seed=1)
    assert (solution.answer, solution.stopped_because) == ("7", "lead")
    assert sum(candidate.votes for candidate in solution.candidates) < 8
    charged(solution)


def test_a_vote_keeps_its_budget(model: Model) -> None:
    solution = model.reasoner.solve(
        "What is 47 * 86?", samples=6, parallel=3, seed=1, budget_tokens=100, stop="none"
    )
    assert solution.stopped_because == "budget_tokens"
    assert 0 < solution.tokens.generated <= 100
    charged(solution)
    if model.busy:
        until(lambda: model.busy and model.busy() == 0, "its places are free")
