"""Replies whose answer is held to a schema, choices or a regex, with the real library underneath."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import minireason
from minireason import BadSetting, Reasoner, Reply

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


@pytest.fixture(scope="module")
def anything(random_path: Path) -> Iterator[Reasoner]:
    with minireason.load(random_path, n_threads=1) as reasoner:
        yield reasoner


@pytest.fixture(scope="module")
def answers_only(smollm2_path: Path) -> Iterator[Reasoner]:
    with minireason.load(smollm2_path) as reasoner:
        yield reasoner


@dataclass
class Sum:
    answer: int


def ask(reasoner: Reasoner, **settings: Any) -> Reply:
    """The reply, after a look at what the model saw: one closing tag, and after it the blank line of R1's format."""
    stream = reasoner.stream(QUESTION, **settings)
    for _ in stream:
        pass
    tokens, close = stream._sequence.tokens, reasoner._encoder.tags.close_id
    assert tokens.count(close) == 1
    after = b"".join(reasoner._model.piece(token) for token in tokens[tokens.index(close) + 1 :])
    assert after.startswith(b"\n\n")
    assert not after.startswith(b"\n\n\n")
    return stream.reply


def valid(reply: Reply) -> None:
    assert reply.finish_reason == "stop"
    assert reply.parsed == json.loads(reply.answer)
    jsonschema.validate(reply.parsed, SCHEMA)


def test_json_after_a_whole_thought(tiny: Reasoner) -> None:
    free = tiny.ask(QUESTION, temperature=0)
    reply = ask(tiny, temperature=0, schema=SCHEMA)
    valid(reply)
    assert reply.thinking == free.thinking
    assert reply.thinking_end == "natural"


@pytest.mark.parametrize("budget", [*range(0, 40, 3), 400])
def test_json_at_any_budget(tiny: Reasoner, budget: int) -> None:
    valid(ask(tiny, seed=budget, temperature=1.0, schema=SCHEMA, thinking_budget=budget))


@pytest.mark.parametrize("seed", range(12))
def test_json_from_a_model_that_says_anything(anything: Reasoner, seed: int) -> None:
    valid(ask(anything, seed=seed, temperature=1.0, schema=SCHEMA, thinking_budget=20, max_tokens=400))


@pytest.mark.parametrize("seed", range(3))
def test_json_from_a_model_that_does_not_think(answers_only: Reasoner, seed: int) -> None:
    reply = answers_only.ask("Give me JSON.", schema=SCHEMA, seed=seed, temperature=1.0)
    valid(reply)
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


def test_without_thinking(tiny: Reasoner) -> None:
    reply = ask(tiny, schema=Sum, effort="none")
    assert isinstance(reply.parsed, Sum)
    assert reply.thinking_end == "skipped"


def test_an_impossible_schema_is_refused_before_anything_runs(tiny: Reasoner) -> None:
    with pytest.raises(BadSetting, match="no value fits"):
        tiny.stream(QUESTION, schema={"$ref": "#"})


def test_side_by_side_with_a_free_stream(tiny: Reasoner) -> None:
    with tiny.stream(QUESTION, temperature=0) as free, tiny.stream(QUESTION, temperature=0, schema=SCHEMA) as held:
        for _ in itertools.zip_longest(free, held):
            pass
        assert free.reply.boxed == "933"
        valid(held.reply)


def test_structured_answers_vote(tiny: Reasoner) -> None:
    solution = tiny.solve(QUESTION, choices=["odd", "even"], samples=4, stop="none", seed=1, temperature=1.0)
    assert solution.answer in ("odd", "even")
    assert solution.parsed == solution.answer
    assert sum(len(candidate.chains) for candidate in solution.candidates) == 4
    assert {chain.parsed for chain in solution.chains} <= {"odd", "even"}
