"""Test a program that uses minireason, without a model: `pytest examples/testing_a_program.py`.

`judge` is the program. Its tests write what the model says, and look at what it was asked.
"""

from __future__ import annotations

import pytest

from minireason import ContextFull, EngineError, Reasoner
from minireason.testing import ScriptedBackend, ScriptedReply


def judge(reasoner: Reasoner, review: str) -> bool | None:
    """Whether a review of a film is kind; None where the model does not say."""
    question = f"Is this review kind? Answer yes or no.\n\n{review}"
    reply = reasoner.ask(question, choices=["yes", "no"], thinking_budget=20)
    return reply.parsed == "yes" if reply.parsed is not None else None


def test_a_kind_review() -> None:
    backend = ScriptedBackend([ScriptedReply(thinking="It praises the music.", answer="yes")])
    assert judge(Reasoner(backend), "What music!") is True
    (request,) = backend.requests
    assert request.messages[-1]["content"].endswith("What music!")
    assert request.settings.thinking_budget == 20


def test_an_answer_that_is_neither() -> None:
    assert judge(Reasoner(ScriptedBackend("perhaps")), "It was long.") is None


def test_what_a_review_is_decides_the_reply() -> None:
    backend = ScriptedBackend(lambda messages: "yes" if "love" in messages[-1]["content"] else "no")
    reviews = ["I love it.", "It is dull.", "All you need is love."]
    assert [judge(Reasoner(backend), review) for review in reviews] == [True, False, True]


def test_errors_of_the_model_reach_the_caller() -> None:
    with pytest.raises(EngineError, match="no memory"):
        judge(Reasoner(ScriptedBackend(EngineError("There is no memory left."))), "So so.")
    with pytest.raises(ContextFull):
        judge(Reasoner(ScriptedBackend("no", n_ctx=50)), "Long. " * 100)
