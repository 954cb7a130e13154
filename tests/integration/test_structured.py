"""Replies held to a schema, choices or a regex, with the real library underneath."""

from __future__ import annotations

import gc
import itertools
import json
import threading
import weakref
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from pydantic import BaseModel, Field, model_validator

import minireason
from minireason import BadSetting, Reasoner, Reply, Stream, UsageError
from minireason.reasoning.think import Tags
from tests.local import local
from tests.scripted import Scripted

QUESTION = "What is 347 + 586?"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "answer": {"type": "integer", "minimum": 0, "maximum": 9999},
        "sure": {"enum": ["yes", "no", None]},
        "steps": {"type": "array", "items": {"type": "string", "maxLength": 8}, "maxItems": 3},
    },
    "required": ["answer", "sure", "steps"],
    "additionalProperties": False,
}


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


def written(reasoner: Reasoner, stream: Stream) -> str:
    """What the model saw after the prompt."""
    tokens = stream.token_ids[stream.reply.usage.prompt_tokens :]
    return b"".join(map(local(reasoner).model.vocabulary.piece, tokens)).decode()


def assert_valid(reply: Reply) -> None:
    assert reply.finish_reason == "stop"
    assert reply.parsed == json.loads(reply.answer)
    jsonschema.validate(reply.parsed, SCHEMA)


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


def test_tags_that_are_text(tiny: Reasoner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vocabularies without the two tags: the closing one may come in any pieces."""
    monkeypatch.setattr(local(tiny).encoder, "tags", Tags())
    for script in ([*b"347\n</think>"], [*b"347"]):
        Scripted(
            tiny,
            monkeypatch,
            local(tiny).model.vocabulary.tokenize(bytes(script).decode(), parse_special=False),
        )
        stream = tiny.stream(
            QUESTION, schema=SCHEMA, thinking_budget=16 if len(script) == 3 else None
        )
        list(stream)
        assert_valid(stream.reply)
        assert written(tiny, stream).endswith(f"</think>\n\n{stream.reply.answer[:-1]}"), (
            "the last token need not go in"
        )


def test_the_last_piece_of_a_tag_may_bring_more(
    answers_only: Reasoner, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = local(answers_only).model
    monkeypatch.setattr(local(answers_only).encoder, "tags", Tags())
    monkeypatch.setattr(local(answers_only).encoder, "thinks", True)
    more = next(
        token for token in range(model.vocabulary.n_vocab) if model.vocabulary.piece(token) == b">."
    )
    for end in (more, *model.vocabulary.tokenize(">", parse_special=False)):
        Scripted(
            answers_only,
            monkeypatch,
            [*model.vocabulary.tokenize("Hm.\n</think", parse_special=False), end],
        )
        stream = answers_only.stream(QUESTION, schema=SCHEMA, temperature=1.0)
        list(stream)
        assert_valid(stream.reply)
        assert (stream.reply.thinking, stream.reply.thinking_end) == ("Hm.", "natural")
        assert f"Hm.\n</think>\n\n{stream.reply.answer}".startswith(
            written(answers_only, stream)
        ), "nothing between the blank line and the answer"


def test_a_tag_spelled_out_in_an_answer_stays(
    tiny: Reasoner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local(tiny).encoder, "tags", Tags())
    reply = tiny.ask(QUESTION, schema={"const": " </think> "}, thinking_budget=8)
    assert (reply.parsed, reply.answer) == (" </think> ", '" </think> "')


def test_a_thought_that_only_the_model_would_open_is_opened(
    answers_only: Reasoner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local(answers_only).encoder, "tags", Tags())
    monkeypatch.setattr(local(answers_only).encoder, "thinks", True)
    words, end = (
        local(answers_only).model.vocabulary.tokenize(text, parse_special=False)
        for text in ("Let me see. " * 8, "\n")
    )
    Scripted(answers_only, monkeypatch, words[:20] + end)
    reply = answers_only.ask(QUESTION, schema=SCHEMA, temperature=1.0, seed=1, thinking_budget=20)
    assert_valid(reply)
    assert reply.thinking
    assert reply.thinking_end == "budget"


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
        assert free.reply.boxed == "933"
        assert_valid(held.reply)


def test_structured_answers_vote(tiny: Reasoner) -> None:
    solution = tiny.solve(
        QUESTION, choices=["odd", "even"], samples=4, stop="none", seed=1, temperature=1.0
    )
    assert solution.answer in ("odd", "even")
    assert solution.parsed == solution.answer
    assert sum(len(candidate.chains) for candidate in solution.candidates) == 4
    assert {chain.parsed for chain in solution.chains} <= {"odd", "even"}


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


@pytest.mark.parametrize("blank", range(20, 60, 3))
def test_max_tokens_hold_where_the_tags_are_text(
    text_tags: Reasoner, monkeypatch: pytest.MonkeyPatch, blank: int
) -> None:
    """What comes before the model opens its thought counts, and leaves no room for a landing."""
    model = local(text_tags).model
    monkeypatch.setattr(local(text_tags).encoder, "tags", Tags())
    monkeypatch.setattr(local(text_tags).encoder, "thinks", True)
    script = model.vocabulary.tokenize("\n", parse_special=False) * blank
    script += model.vocabulary.tokenize(
        "<think>Well, so it is, and so be it then.", parse_special=False
    )
    Scripted(text_tags, monkeypatch, script)
    stream = text_tags.stream(QUESTION, max_tokens=60, thinking_budget=4, seed=1)
    list(stream)
    usage = stream.reply.usage
    assert stream.tokens == usage.thinking_tokens + usage.answer_tokens + usage.forced_tokens
    assert stream.tokens <= 60


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
