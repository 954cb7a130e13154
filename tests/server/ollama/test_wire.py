from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from minireason.server.ollama.wire import ChatWire, GenerateWire, error_body
from minireason.wire.call import Outcome
from minireason.wire.errors import ApiError
from tests.server.written import ORIGIN, TEXTS, outcome, reply, streamed

NAME = "tiny:latest"


def lines_of(written: bytes) -> list[dict[str, Any]]:
    """JSON lines, parted as clients part them: by all that Unicode takes for the end of a line."""
    return [json.loads(line) for line in written.decode().splitlines()]


@given(TEXTS, TEXTS)
def test_a_chat_adds_up_to_the_whole(thoughts: list[str], answers: list[str]) -> None:
    *parts, last = lines_of(streamed(ChatWire(ORIGIN, NAME), thoughts, answers))
    whole = ChatWire(ORIGIN, NAME).whole(outcome(thoughts, answers))
    assert len(parts) == len(thoughts) + len(answers)
    assert not any(part["done"] for part in parts)
    assert last["done"]
    for field, said in (("content", answers), ("thinking", thoughts)):
        pieces = [part["message"].get(field, "") for part in [*parts, last]]
        assert "".join(pieces) == whole["message"].get(field, "") == "".join(said)
    assert {**last, "message": whole["message"]} == whole


@given(TEXTS, TEXTS)
def test_a_generation_adds_up_to_the_whole(thoughts: list[str], answers: list[str]) -> None:
    *parts, last = lines_of(streamed(GenerateWire(ORIGIN, NAME), thoughts, answers))
    whole = GenerateWire(ORIGIN, NAME).whole(outcome(thoughts, answers))
    for field, said in (("response", answers), ("thinking", thoughts)):
        pieces = [part.get(field, "") for part in [*parts, last]]
        assert "".join(pieces) == whole.get(field, "") == "".join(said)
    texts = {"response": whole["response"]}
    texts |= {"thinking": whole["thinking"]} if thoughts else {}
    assert {**last, **texts} == whole


def test_thinking_is_a_field_of_its_own() -> None:
    thought, said, last = lines_of(streamed(ChatWire(ORIGIN, NAME), ["hm"], ["yes"]))
    head = {"model": NAME, "created_at": "2023-11-14T22:13:20Z"}
    assert thought == {
        **head,
        "message": {"role": "assistant", "content": "", "thinking": "hm"},
        "done": False,
    }
    assert said == {**head, "message": {"role": "assistant", "content": "yes"}, "done": False}
    assert last["message"] == {"role": "assistant", "content": ""}


def test_counts_are_tokens_and_nanoseconds() -> None:
    whole = ChatWire(ORIGIN, NAME).whole(outcome(["hm"], ["yes"]))
    assert {name: whole[name] for name in whole if name.endswith(("_count", "_duration"))} == {
        "total_duration": 2_250_000_000,
        "load_duration": 250_000_000,
        "prompt_eval_count": 20,
        "prompt_eval_duration": 500_000_000,
        "eval_count": 11,
        "eval_duration": 1_500_000_000,
    }


@pytest.mark.parametrize(
    ("finish_reason", "reason"), [("stop", "stop"), ("length", "length"), ("cancelled", "stop")]
)
def test_the_done_reason(finish_reason: str, reason: str) -> None:
    whole = ChatWire(ORIGIN, NAME).whole(outcome([], ["yes"], finish_reason=finish_reason))
    assert whole["done_reason"] == reason


def test_a_clamped_budget_is_told() -> None:
    clamped = Outcome((reply("hm", "yes"),), clamped_budget=99)
    assert ChatWire(ORIGIN, None).whole(clamped)["minireason"]["thinking_budget"] == 99


def test_a_request_that_names_no_model_is_told_the_one_it_got() -> None:
    assert ChatWire(ORIGIN, None).whole(outcome())["model"] == "tiny"


def test_nothing_is_written_to_keep_a_stream_open() -> None:
    assert ChatWire(ORIGIN, NAME).ping() == b""


def test_errors() -> None:
    error = ApiError(404, "There is no such model.")
    assert error_body(error, "req_1") == {"error": "There is no such model."}
    assert lines_of(b"".join(ChatWire(ORIGIN, NAME).fail(error))) == [error_body(error, "")]
