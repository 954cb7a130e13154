"""What the tokens of a vote are counted as, and what its budgets allow."""

from __future__ import annotations

import functools

import pytest

from minireason import Done, Reasoner
from minireason.engine.base import Batch, Mask
from minireason.engine.sampler import SamplerChain
from minireason.settings import StopRule
from tests.local import local
from tests.voting.sampled import sampled_tokens

QUESTION = "What is 9 * 13?"


@pytest.mark.parametrize(("stop", "votes"), [("lead", 9), ("beta", 5)])
def test_every_token_is_charged_those_of_stopped_chains_too(
    tiny: Reasoner, monkeypatch: pytest.MonkeyPatch, stop: StopRule, votes: int
) -> None:
    """Ten of the chains are told what to say and end one after the other, long before the rest.

    The rest speak for themselves.
    """
    context, sample = local(tiny).context, local(tiny).context.sample
    say = functools.partial(local(tiny).model.vocabulary.tokenize, parse_special=True)
    scripts = [
        say(f"{'9 * 13 ' * length}\n</think>\n\nThe answer is \\boxed{{117}}.<｜end▁of▁sentence｜>")
        for length in range(1, 11)
    ]
    told: dict[object, list[int]] = {}

    def scripted(chain: SamplerChain, row: int, draw: int, mask: Mask | None) -> int:
        if chain not in told:
            told[chain] = scripts.pop(0) if scripts else []
        return told[chain].pop(0) if told[chain] else sample(chain, row, draw, mask)

    monkeypatch.setattr(context, "sample", scripted)
    sampled = sampled_tokens(monkeypatch)
    solution = tiny.solve(QUESTION, seed=3, samples=16, parallel=16, stop=stop, loop_check=False)
    assert (solution.stopped_because, solution.candidates[0].votes) == (stop, votes)
    stopped = [chain.tokens for chain in solution.chains if chain.finish == "cancelled"]
    assert len(stopped) == 16 - votes
    assert min(stopped) > 50
    assert solution.tokens.cancelled == sum(stopped) < solution.tokens.generated
    assert (
        solution.tokens.generated == len(sampled) == sum(chain.tokens for chain in solution.chains)
    )
    assert solution.tokens.total == solution.tokens.prompt + solution.tokens.generated


def test_forced_tokens_are_charged_too(tiny: Reasoner) -> None:
    stream = tiny.stream(QUESTION, seed=1, thinking_budget=20)
    usage = next(event.reply.usage for event in stream if isinstance(event, Done))
    assert usage.forced_tokens > 0
    assert stream.tokens == usage.thinking_tokens + usage.answer_tokens + usage.forced_tokens


def test_the_prompt_is_read_once(tiny: Reasoner, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = 0
    decode = local(tiny).context.decode

    def counted(batch: Batch) -> bool:
        nonlocal decoded
        decoded += sum(position < prompt - 1 for position in batch.positions)
        return decode(batch)

    question = (
        "Please add these up for me, whatever they are: 17 + 25 and nothing else at all, thank you."
    )
    prompt = len(question) + 5
    monkeypatch.setattr(local(tiny).context, "decode", counted)
    solution = tiny.solve(question, samples=8, parallel=8, max_tokens=20, stop="none")
    assert solution.tokens.prompt == prompt
    assert prompt - 4 < decoded < prompt, (
        "once, less what an earlier question left; then each chain its own tokens only"
    )


def test_budgets(tiny: Reasoner) -> None:
    solution = tiny.solve(QUESTION, seed=1, samples=6, parallel=3, budget_tokens=100, stop="none")
    assert solution.stopped_because == "budget_tokens"
    assert 100 - 3 < solution.tokens.generated <= 100
    assert solution.tokens.cancelled == solution.tokens.generated
    assert tiny.solve(QUESTION, samples=4, parallel=2, budget_s=0.0).stopped_because == "budget_s"


@pytest.mark.parametrize("budget", [40, 100])
def test_no_landing_goes_over_the_budget(tiny: Reasoner, budget: int) -> None:
    """All chains land in the same step, with dozens of forced tokens each."""
    solution = tiny.solve(
        QUESTION,
        seed=5,
        samples=8,
        parallel=8,
        stop="none",
        thinking_budget=3,
        budget_tokens=budget,
    )
    assert solution.tokens.generated <= budget
