"""However a thought ends, it is no longer than allowed, and an answer comes."""

from __future__ import annotations

import pytest

from minireason.reasoning.landing import grace
from minireason.settings import LANDING
from tests.backends.contract.conftest import QUESTION
from tests.backends.contract.places import Model


@pytest.fixture
def thinking(model: Model) -> Model:
    """A place that keeps budgets."""
    if not model.can("thinking_budget"):
        pytest.skip("it refuses budgets")
    return model


@pytest.mark.parametrize("budget", [1, 5, 30])
def test_a_budget_lands(thinking: Model, budget: int) -> None:
    reply = thinking.reasoner.ask(QUESTION, thinking_budget=budget, seed=1)
    assert reply.thinking.endswith(LANDING)
    own = reply.thinking.removesuffix(LANDING).rstrip()
    assert len(own) <= budget + grace(budget)  # a character of tiny's is a token
    assert reply.thinking_end == "budget"
    assert reply.usage.thinking_tokens <= budget + grace(budget)
    assert reply.usage.forced_tokens > 0
    assert reply.answer
    assert reply.finish_reason == "stop"


@pytest.mark.parametrize("nothing", [{"thinking_budget": 0}, {"thinking": False}])
def test_no_thought_at_all(thinking: Model, nothing: dict[str, int]) -> None:
    reply = thinking.reasoner.ask(QUESTION, seed=1, **nothing)  # type: ignore[arg-type]
    assert (reply.thinking, reply.thinking_end) == ("", "skipped")
    assert reply.usage.thinking_tokens == 0
    assert reply.answer
    assert reply.finish_reason == "stop"


def test_a_budget_that_is_not_used_up_changes_nothing(thinking: Model) -> None:
    free = thinking.reasoner.ask(QUESTION, temperature=0)
    wide = thinking.reasoner.ask(QUESTION, temperature=0, thinking_budget=3000)
    assert (wide.thinking, wide.answer) == (free.thinking, free.answer)
    assert wide.thinking_end == "natural"


def test_an_end_of_the_thought_by_request(model: Model) -> None:
    stream = model.reasoner.stream(QUESTION, temperature=0)
    next(iter(stream))
    asked = stream.finish_thinking()
    assert asked == model.can("thinking_seconds")
    assert not stream.finish_thinking()
    list(iter(lambda: next(stream, None), None))
    assert stream.reply.answer
    if asked:
        assert stream.reply.thinking_end in ("user", "natural")  # it may have ended meanwhile
    else:
        assert stream.reply.thinking_end == "natural"


def test_no_time_to_think(thinking: Model) -> None:
    reply = thinking.reasoner.ask(QUESTION, thinking_seconds=0.0, seed=1)
    assert reply.answer
    assert reply.thinking_end in ("budget", "natural")  # it may have ended meanwhile
    assert reply.finish_reason == "stop"
