"""Structured answers after a free thought, and texts that stop an answer."""

from __future__ import annotations

import pytest

from tests.backends.contract.conftest import QUESTION
from tests.backends.contract.places import Model

SUM = "What is 3 + 4?"
SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 99}},
    "required": ["n"],
    "additionalProperties": False,
}
FORMS = {"schema": SCHEMA, "choices": ["7", "8"], "regex": "[0-9]"}


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_is_held_to_a_form_after_a_free_thought(model: Model, form: str) -> None:
    if not model.can(form):
        pytest.skip(f"it refuses {form}")
    reply = model.reasoner.ask(SUM, temperature=0, **{form: FORMS[form]})  # type: ignore[arg-type]
    free = model.reasoner.ask(SUM, temperature=0)
    assert reply.thinking == free.thinking
    assert reply.finish_reason == "stop"
    if form == "schema":
        assert 0 <= reply.parsed["n"] <= 99
    else:
        assert reply.parsed in ("7", "8") or (form == "regex" and reply.parsed.isdigit())


def test_a_form_and_a_budget_go_together(model: Model) -> None:
    if not model.can("schema", "thinking_budget"):
        pytest.skip("it refuses one of them")
    for budget in (0, 5):
        reply = model.reasoner.ask(SUM, schema=SCHEMA, thinking_budget=budget, seed=1)
        assert 0 <= reply.parsed["n"] <= 99
        assert reply.thinking_end == ("budget" if budget else "skipped")


@pytest.mark.slow
def test_a_form_without_a_thought(plain: Model) -> None:
    if not plain.can("schema"):
        pytest.skip("it refuses schemas")
    reply = plain.reasoner.ask("What is 3 + 4?", schema=SCHEMA, temperature=0)
    assert 0 <= reply.parsed["n"] <= 99
    assert reply.thinking == ""


def test_a_stop_text_ends_the_answer_and_not_the_thought(model: Model) -> None:
    reply = model.reasoner.ask(QUESTION, temperature=0, stop=["7"])
    assert "7" in reply.thinking
    assert (reply.answer, reply.stop_text) == ("The answer is \\boxed{1", "7")
    assert (reply.finish_reason, reply.thinking_end) == ("stop", "natural")
