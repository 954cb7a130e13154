"""What a place cannot do it refuses with a sentence; what is asked wrongly gets one error."""

from __future__ import annotations

from typing import Any

import pytest

import minireason
from minireason import BadSetting, ContextFull, Message, NotServed, UsageError
from tests.backends.contract.places import Model

ASKED: dict[str, Any] = {
    "thinking_budget": 5,
    "thinking": False,
    "effort": "low",
    "thinking_seconds": 60.0,
    "schema": {"type": "integer"},
    "choices": ["7", "8"],
    "regex": "[0-9]",
    "landing": "So:",
    "min_thinking": 9,
    "loop_check": False,
}


@pytest.mark.parametrize("name", ASKED)
def test_a_setting_is_followed_or_refused(model: Model, name: str) -> None:
    asked = {name: ASKED[name], "max_tokens": 20}
    if model.can(name):
        assert model.reasoner.ask("What is 3 + 4?", **asked).usage.prompt_tokens > 0
        return
    with pytest.raises(BadSetting, match=rf"^{name}=.+\.$") as error:
        model.reasoner.stream("What is 3 + 4?", **asked)
    assert error.value.name == name


def test_a_reply_that_is_begun_goes_on_or_is_refused(model: Model) -> None:
    begun = [
        Message(role="user", content="What is 3 + 4?"),
        Message(role="assistant", content="The answer is", thinking="3 + 4 = 7"),
    ]
    if not model.can("begun"):
        with pytest.raises(UsageError, match="does not go on"):
            model.reasoner.stream(begun)
        return
    reply = model.reasoner.ask(begun, temperature=0)
    assert (reply.thinking, reply.thinking_end) == ("", "skipped")
    assert "7" in reply.answer


def test_reading_ahead(model: Model) -> None:
    read = model.reasoner.prefill([Message(role="user", content="What is 3 + 4?")])
    assert (read > 0) == model.can("prefill")


def test_a_prompt_that_is_too_long(model: Model) -> None:
    question = "What is 3 + 4? " * 600
    with pytest.raises(ContextFull, match="shorten the prompt") as error:
        model.reasoner.ask(question)
    assert error.value.prompt_tokens >= error.value.n_ctx
    assert model.reasoner.ask("What is 3 + 4?", temperature=0).boxed == "7"


def test_a_model_that_is_not_there(model: Model) -> None:
    if model.url is None:
        pytest.skip("it is no server")
    with pytest.raises(NotServed, match=f"it has {model.reasoner.name}") as error:
        minireason.connect(model.url, model="r1")
    assert error.value.served[0] == model.reasoner.name


def test_what_is_no_question(model: Model) -> None:
    with pytest.raises(UsageError, match="no question"):
        model.reasoner.ask(" ")
