"""The caller's own code, in a schema or a callback: its errors are its own."""

from __future__ import annotations

import json
import threading
from typing import Literal

import pytest
from pydantic import BaseModel, model_validator

from minireason import BadSetting, Reasoner, UsageError
from tests.integration.structured import QUESTION


class Failing(BaseModel):
    answer: int

    @model_validator(mode="after")
    def check(self) -> Failing:
        raise KeyError("no such answer")


def test_an_error_of_ones_own_code_is_ones_own(tiny: Reasoner) -> None:
    alone = tiny.ask(QUESTION, temperature=0).answer
    with (
        tiny.stream(QUESTION, temperature=0) as free,
        tiny.stream(QUESTION, schema=Failing, effort="none") as held,
    ):
        list(free)  # which reads the other one to its end too
        assert free.reply.answer == alone
        with pytest.raises(UsageError, match="KeyError: 'no such answer'") as raised:
            list(held)
        assert isinstance(raised.value.__cause__, KeyError)
        assert held.reply.parsed is None
        assert json.loads(held.reply.answer)
        assert held.reply.finish_reason == "stop"
    with pytest.raises(UsageError, match="no such answer"):
        tiny.solve(QUESTION, schema=Failing, samples=2, effort="none")
    assert tiny.ask(QUESTION, temperature=0).answer == alone


def test_ones_own_code_runs_outside_the_lock(tiny: Reasoner) -> None:
    class Asking(BaseModel):
        answer: int

        @model_validator(mode="after")
        def check(self) -> Asking:
            thread = threading.Thread(target=tiny.ask, args=("x",), kwargs={"max_tokens": 2})
            thread.start()
            thread.join(20)
            if thread.is_alive():
                raise KeyError("nobody else could use the model")
            return self

    assert isinstance(tiny.ask(QUESTION, schema=Asking, effort="none").parsed, Asking)


def test_an_error_of_a_callback_is_of_its_own_stream(anything: Reasoner) -> None:
    def fail(_read: int, _tokens: int) -> None:
        raise KeyError("in the callback")

    text = "Words to read. " * 200
    other = anything.stream("x", thinking_budget=4, max_tokens=30)
    with (
        anything.stream(text, on_prefill=fail) as stream,
        pytest.raises(KeyError, match="in the callback"),
    ):
        list(stream)
    list(other)
    assert other.reply.usage.answer_tokens


def test_a_type_whose_code_fails_is_refused(tiny: Reasoner) -> None:
    class Broken:
        @classmethod
        def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> object:
            raise KeyError("while it was made")

    with pytest.raises(BadSetting, match="KeyError: 'while it was made'"):
        tiny.stream(QUESTION, schema=Broken)


class Picky(BaseModel):
    digit: Literal[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]

    @model_validator(mode="after")
    def check(self) -> Picky:
        if self.digit % 2:
            raise KeyError(self.digit)
        return self


def test_one_failing_answer_costs_its_own_chain_alone(tiny: Reasoner) -> None:
    solution = tiny.solve(
        "Say a digit.", schema=Picky, samples=16, stop="none", effort="none", seed=1, temperature=2
    )
    parsed = [chain.parsed for chain in solution.chains]
    assert None in parsed
    assert isinstance(solution.parsed, Picky)
    assert any("KeyError" in note for note in solution.notes)
