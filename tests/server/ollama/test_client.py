"""Ollama's own client, unmodified, against a server that runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("ollama", reason="ollama is not installed (extra `test-server`)")

import httpx
from ollama import AsyncClient, Client, ResponseError
from pydantic import BaseModel

from minireason.errors import EngineError
from minireason.testing import ScriptedBackend, ScriptedReply
from tests.server.serving import WAIT_S, Served, until

MESSAGES = [{"role": "user", "content": "What is 12 + 5?"}]
OPTIONS = {"temperature": 0, "num_predict": 2000}


@pytest.fixture(scope="module")
def client(tiny_url: str) -> Iterator[Client]:
    with Client(host=tiny_url) as client:
        yield client


def test_a_chat(client: Client) -> None:
    response = client.chat("tiny", MESSAGES, options=OPTIONS)
    assert "17" in (response.message.content or "")
    assert response.message.thinking
    assert (response.model, response.done, response.done_reason) == ("tiny", True, "stop")
    assert response.eval_count
    assert response.prompt_eval_count
    assert response.total_duration
    assert (response.eval_duration or 0) <= response.total_duration


def test_a_streamed_chat_adds_up(client: Client) -> None:
    whole = client.chat("tiny", MESSAGES, options=OPTIONS)
    parts = list(client.chat("tiny", MESSAGES, options=OPTIONS, stream=True))
    for field in ("content", "thinking"):
        said = "".join(getattr(part.message, field) or "" for part in parts)
        assert said == getattr(whole.message, field)
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert parts[-1].eval_count == whole.eval_count


@pytest.mark.anyio
async def test_the_async_client(tiny_url: str) -> None:
    async with AsyncClient(host=tiny_url) as client:
        whole = await client.chat("tiny", MESSAGES, options=OPTIONS)
        stream = await client.chat("tiny", MESSAGES, options=OPTIONS, stream=True)
        said = [part.message.content async for part in stream]
        assert "".join(text or "" for text in said) == whole.message.content
        assert (await client.list()).models[0].model == "tiny"


@pytest.mark.parametrize("think", [False, True, "low", "medium", "high"])
def test_thinking(client: Client, think: Any) -> None:
    response = client.chat("tiny", MESSAGES, options=OPTIONS, think=think)
    assert bool(response.message.thinking) is (think is not False)


class Sum(BaseModel):
    """What an answer is held to."""

    total: int


def test_an_answer_that_fits_a_schema(client: Client) -> None:
    schema = Sum.model_json_schema()
    response = client.chat("tiny", MESSAGES, format=schema, options=OPTIONS)
    assert Sum.model_validate_json(response.message.content or "")
    assert response.message.thinking


def test_an_answer_that_is_json(client: Client) -> None:
    response = client.generate("tiny", "What is 12 + 5?", format="json", options=OPTIONS)
    assert response.done_reason == "length" or isinstance(json.loads(response.response), dict)


def test_a_generation(client: Client) -> None:
    response = client.generate("tiny", "What is 12 + 5?", system="Be short.", options=OPTIONS)
    assert response.response
    assert response.thinking
    parts = list(client.generate("tiny", "What is 12 + 5?", options=OPTIONS, stream=True))
    assert "17" in "".join(part.response for part in parts)
    assert parts[-1].done_reason == "stop"


def test_a_raw_prompt(client: Client) -> None:
    prompt = "<｜User｜>What is 12 + 5?<｜Assistant｜><think>\n"
    response = client.generate("tiny", prompt, raw=True, options=OPTIONS)
    assert "</think>" in response.response
    assert not response.thinking


def test_a_stop_text(client: Client) -> None:
    response = client.chat("tiny", MESSAGES, options={**OPTIONS, "stop": ["17"]})
    assert "17" not in (response.message.content or "")


def test_logprobs(client: Client) -> None:
    asked: dict[str, Any] = {"options": OPTIONS, "logprobs": True, "top_logprobs": 2}
    whole = client.chat("tiny", MESSAGES, **asked)
    assert whole.logprobs
    assert "".join(one.token for one in whole.logprobs) == whole.message.content
    assert all(len(one.top_logprobs or ()) == 2 for one in whole.logprobs)
    parts = list(client.chat("tiny", MESSAGES, stream=True, **asked))
    told = [one.token for part in parts for one in part.logprobs or ()]
    assert told == [one.token for one in whole.logprobs]


def test_too_few_tokens(client: Client) -> None:
    response = client.chat("tiny", MESSAGES, options={**OPTIONS, "num_predict": 4})
    assert response.done_reason == "length"


def test_a_name_is_the_same_with_latest(client: Client) -> None:
    response = client.chat("tiny:latest", MESSAGES, options=OPTIONS)
    assert response.model == "tiny:latest"
    assert client.show("tiny:latest").capabilities == client.show("tiny").capabilities


def test_which_models_there_are(client: Client, tiny_url: str) -> None:
    (model, *_others) = client.list().models
    assert model.model == "tiny"
    assert model.size
    assert model.details
    assert model.details.quantization_level == "Q8_0"
    assert model.details.parameter_size == "1.1M"
    assert model.details.family == "qwen2"
    assert httpx.head(f"{tiny_url}/api/tags", timeout=WAIT_S).status_code == 200


def test_what_a_model_can_do(client: Client) -> None:
    shown = client.show("tiny")
    assert shown.capabilities == ["completion", "thinking"]
    assert shown.modelinfo
    assert shown.modelinfo["general.architecture"] == "qwen2"
    assert shown.modelinfo["qwen2.context_length"] == 4096
    assert shown.template
    assert shown.parameters


def test_the_version(tiny_url: str) -> None:
    told = httpx.get(f"{tiny_url}/api/version", timeout=WAIT_S).json()
    assert tuple(int(part) for part in told["version"].split(".")) >= (0, 9, 0)
    assert told["minireason"]


def test_a_model_is_loaded_and_unloaded(client: Client) -> None:
    loaded = client.generate("tiny")
    assert (loaded.response, loaded.done, loaded.done_reason) == ("", True, "load")
    assert [model.model for model in client.ps().models] == ["tiny"]
    unloaded = client.chat("tiny", [], keep_alive=0)
    assert (unloaded.message.content, unloaded.done_reason) == ("", "unload")
    until(lambda: not client.ps().models, "it is unloaded")
    assert client.chat("tiny", [], keep_alive="5m").done_reason == "load"


def test_a_model_may_be_unloaded_after_its_answer(client: Client) -> None:
    assert client.chat("tiny", MESSAGES, options=OPTIONS, keep_alive="0s").message.content
    until(lambda: not client.ps().models, "it is unloaded")


def test_a_model_that_is_there_is_pulled_at_once(client: Client) -> None:
    assert client.pull("tiny").status == "success"
    assert [part.status for part in client.pull("tiny", stream=True)] == ["success"]
    with pytest.raises(ResponseError, match="minireason pull r1-7b") as error:
        client.pull("r1-7b")
    assert error.value.status_code == 404


def test_an_unknown_model_is_not_found(client: Client) -> None:
    for ask in (
        lambda: client.chat("unknown", MESSAGES),
        lambda: list(client.chat("unknown", MESSAGES, stream=True)),
        lambda: client.show("unknown"),
        lambda: client.generate("unknown", keep_alive=0),
    ):
        with pytest.raises(ResponseError, match="unknown") as error:
            ask()
        assert error.value.status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/create"),
        ("POST", "/api/copy"),
        ("POST", "/api/push"),
        ("DELETE", "/api/delete"),
        ("POST", "/api/blobs/sha256:1"),
        ("POST", "/api/embed"),
        ("POST", "/api/embeddings"),
    ],
)
def test_what_is_not_offered(tiny_url: str, method: str, path: str) -> None:
    answer = httpx.request(method, f"{tiny_url}{path}", json={"model": "tiny"}, timeout=WAIT_S)
    assert answer.status_code == 501
    assert set(answer.json()) == {"error"}


BAD: list[tuple[dict[str, Any], str]] = [
    ({"messages": [{"role": "judge", "content": "Hi"}]}, "role"),
    ({"messages": [{"role": "user", "content": 5}]}, "content"),
    ({"messages": [{"role": "user", "content": ""}]}, "question"),
    ({"messages": [{"role": "user", "content": "Hi", "images": ["AA=="]}]}, "images"),
    ({"messages": [{"role": "tool", "content": "42"}]}, "--ignore-tools"),
    ({"messages": "Hi"}, "messages"),
    ({"tools": [{"type": "function"}]}, "--ignore-tools"),
    ({"options": {"temperature": "hot"}}, "temperature"),
    ({"options": {"temperature": -1}}, "temperature"),
    ({"options": 5}, "options"),
    ({"format": "yaml"}, "format"),
    ({"format": 5}, "format"),
    ({"think": 5}, "think"),
    ({"keep_alive": "soon"}, "keep_alive"),
    ({"stream": "yes"}, "stream"),
    ({"messages": [{"role": "user", "content": "word " * 20_000}]}, "tokens"),
]


@pytest.mark.parametrize(("changes", "said"), BAD, ids=str)
def test_bad_requests(tiny_url: str, changes: dict[str, Any], said: str) -> None:
    body = {"model": "tiny", "messages": MESSAGES, **changes}
    answer = httpx.post(f"{tiny_url}/api/chat", json=body, timeout=WAIT_S)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}
    assert said in answer.json()["error"]


@pytest.mark.parametrize("name", ["suffix", "images"])
def test_what_a_prompt_cannot_have(tiny_url: str, name: str) -> None:
    given = "after" if name == "suffix" else ["AA=="]
    body = {"model": "tiny", "prompt": "Hi", name: given}
    answer = httpx.post(f"{tiny_url}/api/generate", json=body, timeout=WAIT_S)
    assert answer.status_code == 400
    assert name in answer.json()["error"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null"])
def test_broken_json(tiny_url: str, body: bytes) -> None:
    answer = httpx.post(f"{tiny_url}/api/chat", content=body, timeout=WAIT_S)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}


def test_a_reply_that_fails_in_the_middle_is_an_error(served: Callable[..., Served]) -> None:
    failing = ScriptedReply(answer="It is 2.", error=EngineError("It broke."))
    with Client(host=served(ScriptedBackend(failing)).url) as client:
        with pytest.raises(ResponseError, match="It broke"):
            client.chat("scripted", MESSAGES)
        with pytest.raises(ResponseError, match="It broke"):
            list(client.chat("scripted", MESSAGES, stream=True))


def test_tools_are_left_out_where_the_server_ignores_them(served: Callable[..., Served]) -> None:
    called = [{"function": {"name": "look", "arguments": {}}}]
    turns: list[Any] = [
        *MESSAGES,
        {"role": "assistant", "content": "I look.", "tool_calls": called},
        {"role": "tool", "content": "42"},
        {"role": "user", "content": "Go on."},
    ]
    tool = {"type": "function", "function": {"name": "look"}}
    with Client(host=served(ignore_tools=True).url) as client:
        response = client.chat("scripted", turns, tools=[tool])
        assert response.message.content == "It is 2."
        with pytest.raises(ResponseError, match="last message is a tool's"):
            client.chat("scripted", turns[:-1])


def test_a_model_that_does_not_think(smollm2_url: str) -> None:
    options = {"temperature": 0, "num_predict": 8}
    with Client(host=smollm2_url) as client:
        (model, *_others) = client.list().models
        name = model.model or ""
        assert model.details
        assert model.details.quantization_level == "Q4_1"
        assert client.show(name).capabilities == ["completion"]
        response = client.chat(name, MESSAGES, options=options, think=True)
    assert response.message.content
    assert not response.message.thinking
