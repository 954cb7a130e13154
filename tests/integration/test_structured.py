"""Replies held to a schema, choices or a regex, with the real library underneath."""

from __future__ import annotations

import gc
import itertools
import weakref
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

import minireason
from minireason import BadSetting, Reasoner, Reply
from tests.integration.structured import QUESTION, SCHEMA, assert_valid
from tests.local import local


@dataclass
class Sum:
    answer: int


@dataclass
class Small:
    n: Annotated[int, Field(ge=0, le=99)]


def ask(reasoner: Reasoner, **settings: Any) -> Reply:
    """The reply, after a look at what the model saw.

    One closing tag, and after it the blank line of R1's format.
    """
    stream = reasoner.stream(QUESTION, **settings)
    for _ in stream:
        pass
    tokens, close = stream.token_ids, local(reasoner).encoder.tags.close_id
    assert tokens.count(close) == 1
    after = b"".join(
        local(reasoner).model.vocabulary.piece(token) for token in tokens[tokens.index(close) + 1 :]
    )
    assert after.startswith(b"\n\n")
    assert not after.startswith(b"\n\n\n")
    return stream.reply


def test_json_after_a_whole_thought(tiny: Reasoner) -> None:
    free = tiny.ask(QUESTION, temperature=0)
    reply = ask(tiny, temperature=0, schema=SCHEMA)
    assert_valid(reply)
    assert reply.thinking == free.thinking
    assert reply.thinking_end == "natural"


def test_json_at_every_budget(tiny: Reasoner, anything: Reasoner) -> None:
    for budget in range(61):
        model = (tiny, anything)[budget % 2]
        reply = ask(
            model,
            seed=budget,
            temperature=1.0,
            schema=Small,
            thinking_budget=budget,
            max_tokens=budget + 100,
        )
        assert isinstance(reply.parsed, Small), budget
        assert reply.usage.thinking_tokens <= budget * 5 // 4


@pytest.mark.slow
def test_long_json_at_every_budget(tiny: Reasoner, anything: Reasoner) -> None:
    for budget in range(61):
        for model in (tiny, anything):
            assert_valid(
                ask(
                    model,
                    seed=budget,
                    temperature=1.0,
                    schema=SCHEMA,
                    thinking_budget=budget,
                    max_tokens=budget + 300,
                )
            )


class Mood(Enum):
    GOOD = "good"
    BAD = "bad"


@dataclass
class Leg:
    miles: Annotated[int, Field(ge=0, lt=3000)]
    mood: Mood


class Trip(BaseModel):
    name: str = Field(max_length=6)
    legs: list[Leg] = Field(min_length=1, max_length=2)
    note: Annotated[str, Field(pattern=r"^[a-z]{1,4}\d?$")] | None = None


SHAPES: list[tuple[dict[str, Any], object]] = [
    ({"schema": SCHEMA}, dict),
    ({"schema": Trip}, Trip),
    ({"schema": Leg}, Leg),
    ({"schema": tuple[bool, Annotated[int, Field(gt=0, lt=10)] | None]}, tuple),
    (
        {
            "schema": {
                "oneOf": [
                    {"const": "x" * 9},
                    {"type": "number", "minimum": -1, "maximum": 1, "multipleOf": 0.5},
                ]
            }
        },
        object,
    ),
    ({"schema": {"type": "string", "format": "date"}}, str),
    ({"choices": ["yes", "no", "</think>", "maybe\n"]}, str),
    ({"regex": r"[A-F]\d{2,4}(, [A-F]\d{2,4}){0,3}"}, str),
]


@pytest.mark.slow
def test_500_answers_at_temperature_1_have_a_value(tiny: Reasoner, anything: Reasoner) -> None:
    for run in range(500):
        settings, kind = SHAPES[run % len(SHAPES)]
        limits = {"thinking_budget": run % 30, "max_tokens": 700}
        reply = ask(
            (tiny, anything)[run // len(SHAPES) % 2],
            seed=run,
            temperature=1.0,
            **limits,
            **settings,
        )
        assert reply.finish_reason == "stop", reply
        assert isinstance(reply.parsed, kind), reply  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(12))
def test_json_from_a_model_that_says_anything(anything: Reasoner, seed: int) -> None:
    assert_valid(
        ask(anything, seed=seed, temperature=1.0, schema=SCHEMA, thinking_budget=20, max_tokens=400)
    )
    settings, kind = SHAPES[seed % len(SHAPES)]
    assert isinstance(
        ask(
            anything, seed=seed, temperature=1.0, **settings, thinking_budget=5, max_tokens=700
        ).parsed,
        kind,
    )  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(3))
def test_json_from_a_model_that_does_not_think(answers_only: Reasoner, seed: int) -> None:
    reply = answers_only.ask("Give me JSON.", schema=SCHEMA, seed=seed, temperature=1.0)
    assert_valid(reply)
    assert reply.thinking_end is None


def test_typed_values(tiny: Reasoner) -> None:
    assert isinstance(ask(tiny, schema=Sum, seed=1).parsed, Sum)
    choice = ask(tiny, choices=["even", "odd"], seed=1)
    assert choice.parsed == choice.answer
    assert choice.answer in ("even", "odd")
    text = ask(tiny, regex=r"  \d{3}!", seed=1)
    assert text.parsed == text.answer
    assert text.answer.startswith("  "), "white space that the regex asks for is part of the answer"
    assert tiny.ask(QUESTION).parsed is None


def test_a_structured_answer_cut_short_has_no_value(anything: Reasoner) -> None:
    reply = anything.ask(QUESTION, schema=SCHEMA, thinking_budget=4, max_tokens=25)
    assert reply.finish_reason == "length"
    assert reply.answer.startswith("{")
    assert reply.parsed is None


def test_an_answer_that_is_whole_with_the_last_token_is_whole(tiny: Reasoner) -> None:
    assert tiny.ask(QUESTION, regex="[a-z]{9}", effort="none", max_tokens=9).parsed
    short = tiny.ask(QUESTION, regex="[a-z]{9}", effort="none", max_tokens=8)
    assert (short.finish_reason, short.parsed, len(short.answer)) == ("length", None, 8)


def test_a_chat_takes_them_too(tiny: Reasoner) -> None:
    chat = tiny.chat()
    reply = chat.send(QUESTION, choices=["even", "odd"])
    assert reply.parsed in ("even", "odd")
    assert chat.turns[0].answer == reply.answer
    assert isinstance(chat.send("Add 4 to that.", schema=Sum, seed=1).parsed, Sum)


def test_a_reasoner_is_freed_after_structured_answers() -> None:
    reasoner = minireason.load("tiny")
    assert reasoner.ask(QUESTION, choices=["even", "odd"], effort="none").parsed
    model = weakref.ref(local(reasoner).model)
    del reasoner
    gc.collect()
    assert model() is None


def test_without_thinking(tiny: Reasoner) -> None:
    reply = ask(tiny, schema=Sum, effort="none")
    assert isinstance(reply.parsed, Sum)
    assert reply.thinking_end == "skipped"


def test_an_impossible_schema_is_refused_before_anything_runs(tiny: Reasoner) -> None:
    with pytest.raises(BadSetting, match="no value fits"):
        tiny.stream(QUESTION, schema={"$ref": "#"})


def test_side_by_side_with_a_free_stream(tiny: Reasoner) -> None:
    with (
        tiny.stream(QUESTION, temperature=0) as free,
        tiny.stream(QUESTION, temperature=0, schema=SCHEMA) as held,
    ):
        for _ in itertools.zip_longest(free, held):
            pass
        assert free.reply.boxed == "17"
        assert_valid(held.reply)


def test_structured_answers_vote(tiny: Reasoner) -> None:
    solution = tiny.solve(
        QUESTION, choices=["odd", "even"], samples=4, stop="none", seed=1, temperature=1.0
    )
    assert solution.answer in ("odd", "even")
    assert solution.parsed == solution.answer
    assert sum(len(candidate.chains) for candidate in solution.candidates) == 4
    assert {chain.parsed for chain in solution.chains} <= {"odd", "even"}
