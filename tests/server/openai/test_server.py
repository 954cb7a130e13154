"""OpenAI's APIs over HTTP: what no client does, and what is done to replies that run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from minireason.server.openai import schemas as openai_schemas
from minireason.testing import ScriptedBackend, ScriptedReply
from tests.server.serving import Served

QUESTION = {"role": "user", "content": "1+1?"}
CHAT = "/v1/chat/completions"
CONTROL = f"{CHAT}/control"
LONG = ScriptedReply(thinking=["so "] * 100_000, answer="It is 2.")


def post(served: Served, path: str, body: Any) -> tuple[int, dict[str, Any]]:
    """The status and the JSON of an answer."""
    with served.client() as client:
        answer = client.post(path, json=body)
        told: dict[str, Any] = answer.json()
        return answer.status_code, told


def events(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The chunks of a stream."""
    for line in lines:
        if line.startswith("data: {"):
            yield json.loads(line.removeprefix("data: "))


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        (CHAT, {"messages": []}, "messages"),
        (CHAT, {"messages": [{"role": "robot", "content": "?"}]}, "messages[0].role"),
        (CHAT, {"messages": [{**QUESTION, "content": [{"type": "image_url"}]}]}, None),
        (CHAT, {"messages": [QUESTION], "temperature": 3}, "temperature"),
        (CHAT, {"messages": [QUESTION], "max_tokens": "many"}, "max_tokens"),
        (CHAT, {"messages": [QUESTION], "tools": [{}]}, "tools"),
        (CHAT, {"messages": [QUESTION], "thinking_budget": "much"}, "thinking_budget"),
        (CHAT, {"messages": [QUESTION], "samples": 4, "n": 2}, "n"),
        (CHAT, {"messages": [QUESTION], "guided_regex": "("}, "regex"),
        (CHAT, {"messages": [{"role": "system", "content": "?"}]}, None),
        ("/v1/completions", {"prompt": [1, 2]}, "prompt[0]"),
        ("/v1/completions", {"prompt": ["a", "b"]}, "prompt"),
        ("/v1/completions", {"prompt": "a", "suffix": "b"}, "suffix"),
        ("/v1/responses", {}, "input"),
        ("/v1/responses", {"input": "?", "previous_response_id": "resp_1"}, "previous_response_id"),
        (CONTROL, {"id": "chatcmpl-1", "action": "stop"}, "action"),
    ],
)
def test_a_body_that_cannot_be_used_is_answered_by_400(
    server: Served, path: str, body: Any, param: str | None
) -> None:
    status, told = post(server, path, body)
    error = told["error"]
    assert (status, error["type"]) == (400, "invalid_request_error")
    assert error["message"].endswith(".")
    if param is not None:
        assert error["param"] == param


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'"text"', b'{"a": ' * 5000])
def test_a_body_that_is_no_json_object_is_answered_by_400(server: Served, body: bytes) -> None:
    with server.client() as client:
        answer = client.post(CHAT, content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_json"


def test_an_unknown_model_is_answered_by_404(server: Served) -> None:
    status, told = post(server, CHAT, {"model": "no-such", "messages": [QUESTION]})
    assert (status, told["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_that_is_too_long_is_answered_by_400(server: Served, stream: bool) -> None:
    body = {"messages": [{"role": "user", "content": "word " * 50_000}], "stream": stream}
    status, told = post(server, CHAT, body)
    assert (status, told["error"]["code"]) == (400, "context_length_exceeded")


def test_unknown_fields_harm_nothing(server: Served) -> None:
    body = {
        "messages": [QUESTION],
        "max_tokens": 1,
        "presence_penalty": 0.5,
        "logit_bias": {},
        "store": True,
        "metadata": {"a": "b"},
        "service_tier": "auto",
        "user": "me",
        "what": ["ever"],
    }
    assert post(server, CHAT, body)[0] == 200


def test_a_reply_that_fails_ends_its_stream_with_the_error(
    served: Callable[..., Served],
) -> None:
    failing = ScriptedReply(answer="It is", error=RuntimeError("secret"))
    own = served(ScriptedBackend(failing))
    body = {"messages": [QUESTION], "stream": True}
    with own.client() as client, client.stream("POST", CHAT, json=body) as answer:
        *_, last = events(answer.iter_lines())
    assert last["error"]["type"] == "api_error"
    assert "secret" not in last["error"]["message"]


def test_a_thought_ends_when_it_is_told_to(served: Callable[..., Served]) -> None:
    own = served(ScriptedBackend(LONG, n_ctx=10**6))
    body = {"messages": [QUESTION], "stream": True}
    with own.client() as client, client.stream("POST", CHAT, json=body) as answer:
        chunks = events(answer.iter_lines())
        first = next(chunks)
        told = post(own, CONTROL, {"id": first["id"], "action": "reasoning_end"})
        assert told == (200, {"success": True})
        *_, last = chunks
    assert last["minireason"]["thinking_end"] == "user"
    status, told = post(own, CONTROL, {"id": first["id"], "action": "reasoning_end"})
    assert (status, told["success"]) == (200, False)


def test_a_thought_is_ended_by_nobody_else(served: Callable[..., Served]) -> None:
    own = served(ScriptedBackend(LONG, n_ctx=10**6), api_keys=("mine", "another's"))
    body = {"messages": [QUESTION], "stream": True}
    mine = {"headers": {"Authorization": "Bearer mine"}}
    others = {"headers": {"Authorization": "Bearer another's"}}
    with (
        own.client(**mine) as client,
        own.client(**others) as other,
        client.stream("POST", CHAT, json=body) as answer,
    ):
        chunks = events(answer.iter_lines())
        first = next(chunks)
        wish = {"id": first["id"], "action": "reasoning_end"}
        assert other.post(CONTROL, json=wish).json()["success"] is False
        assert client.post(CONTROL, json=wish).json() == {"success": True}


def test_a_vote_is_told_as_it_happens(served: Callable[..., Served]) -> None:
    written = [ScriptedReply(thinking="So", answer=f"It is {n}.") for n in (2, 3, 2, 2)]
    own = served(ScriptedBackend(written))
    body = {"messages": [QUESTION], "samples": 4, "stop_rule": "none", "stream": True}
    with own.client() as client, client.stream("POST", CHAT, json=body) as answer:
        chunks = list(events(answer.iter_lines()))
    told = [
        chunk["minireason"]["event"] for chunk in chunks if "event" in chunk.get("minireason", {})
    ]
    kinds = [event["type"] for event in told]
    assert kinds.count("chain_started") == kinds.count("chain_answered") == 4
    assert kinds[-1] == "decided"
    last = chunks[-1]
    assert last["minireason"]["answer"] == "2"
    assert last["minireason"]["agreement"] == 0.75
    content = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert content == "It is 2."


def test_a_vote_of_the_real_model(server: Served) -> None:
    question = {"role": "user", "content": "What is 12 + 5?"}
    status, told = post(server, CHAT, {"messages": [question], "samples": 4, "seed": 1})
    assert status == 200
    extra = told["minireason"]
    assert extra["answer"] == extra["candidates"][0]["answer"] == "17"
    assert told["usage"]["completion_tokens"] == sum(one["tokens"] for one in extra["chains"])
    assert told["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0


@pytest.mark.parametrize(
    ("settings", "fields", "names"),
    [
        ({}, {}, {"content", "reasoning_content", "reasoning"}),
        ({"reasoning_field": "content"}, {}, {"content", "reasoning_content"}),
        ({"reasoning_field": "none"}, {}, {"content"}),
        ({}, {"include_reasoning": False}, {"content"}),
        ({}, {"reasoning": {"exclude": True}}, {"content"}),
    ],
)
def test_where_the_thought_is(
    served: Callable[..., Served], settings: Any, fields: Any, names: set[str]
) -> None:
    own = served(ScriptedBackend(ScriptedReply(thinking="So", answer="It is 2.")), **settings)
    _, told = post(own, CHAT, {"messages": [QUESTION], **fields})
    assert told["choices"][0]["message"].keys() - {"role"} == names


def test_tools_are_ignored_where_the_server_is_started_so(served: Callable[..., Served]) -> None:
    own = served(ScriptedBackend("It is 2."), ignore_tools=True)
    asked = [QUESTION, {"role": "tool", "content": "3"}]
    assert post(own, CHAT, {"messages": asked, "tools": [{}]})[0] == 200


def test_the_document_can_be_had(server: Served) -> None:
    with server.client() as client:
        told = client.get("/openapi.json").json()
    assert CHAT in told["paths"]
    schema = told["paths"]["/v1/models"]["get"]["responses"]["200"]["content"]
    assert schema == {"application/json": {"schema": openai_schemas.MODELS}}
