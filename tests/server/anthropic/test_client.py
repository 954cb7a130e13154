"""Anthropic's own client, unmodified, against a server that runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from pydantic import BaseModel

from minireason.errors import EngineError
from minireason.testing import ScriptedBackend, ScriptedReply
from tests.server.serving import WAIT_S, Served

if TYPE_CHECKING:  # else where it is used: it imports for more than a second
    from anthropic import Anthropic
    from anthropic.types import MessageParam

QUESTION: list[MessageParam] = [{"role": "user", "content": "What is 12 + 5?"}]
THINKING: Any = {"type": "enabled", "budget_tokens": 1024}
GREEDY = {"temperature": 0}
"""The client has no parameter for it any more, the API has."""
ASKED: dict[str, Any] = {"model": "tiny", "max_tokens": 2000, "extra_body": GREEDY}


@pytest.fixture(scope="module")
def client(tiny_url: str) -> Iterator[Anthropic]:
    import anthropic

    with anthropic.Anthropic(base_url=tiny_url, api_key="none", max_retries=0) as client:
        yield client


def test_who_did_not_ask_for_thinking_gets_text_alone(client: Anthropic) -> None:
    message = client.messages.create(messages=QUESTION, **ASKED)
    (block,) = message.content
    assert block.type == "text"
    assert "17" in block.text
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens_details is not None
    assert message.usage.output_tokens_details.thinking_tokens > 0


def test_thinking_is_a_block_before_the_text(client: Anthropic) -> None:
    message = client.messages.create(messages=QUESTION, thinking=THINKING, **ASKED)
    thought, block = message.content
    assert thought.type == "thinking"
    assert thought.thinking
    assert block.type == "text"
    assert "17" in block.text
    assert message.model == "tiny"
    told = message.minireason  # type: ignore[attr-defined]
    assert told["thinking_end"] == "natural"


def test_thinking_can_be_off(client: Anthropic) -> None:
    message = client.messages.create(messages=QUESTION, thinking={"type": "disabled"}, **ASKED)
    assert [block.type for block in message.content] == ["text"]
    assert message.minireason["thinking_end"] == "skipped"  # type: ignore[attr-defined]


def test_a_thought_that_is_omitted_leaves_its_block(client: Anthropic) -> None:
    omitted: Any = {"type": "adaptive", "display": "omitted"}
    message = client.messages.create(messages=QUESTION, thinking=omitted, **ASKED)
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert getattr(message.content[0], "thinking", None) == ""


@pytest.mark.parametrize("budget", [1, 5_000])
def test_a_budget_is_kept_or_clamped(client: Anthropic, budget: int) -> None:
    thinking: Any = {"type": "enabled", "budget_tokens": budget}
    message = client.messages.create(messages=QUESTION, thinking=thinking, **ASKED)
    told = message.minireason  # type: ignore[attr-defined]
    if budget == 1:
        assert told["thinking_end"] == "budget"
    else:
        assert told["thinking_budget"] < ASKED["max_tokens"]


def test_the_stream_helper_adds_up(client: Anthropic) -> None:
    thoughts, texts = [], []
    with client.messages.stream(messages=QUESTION, thinking=THINKING, **ASKED) as stream:
        for event in stream:
            if event.type == "thinking":
                thoughts.append(event.thinking)
            elif event.type == "text":
                texts.append(event.text)
        message = stream.get_final_message()
        assert (stream.request_id or "").startswith("req_")
    thought, block = message.content
    assert getattr(thought, "thinking", None) == "".join(thoughts)
    assert getattr(block, "text", None) == "".join(texts)
    assert len(thoughts) > 1
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens + (message.usage.cache_read_input_tokens or 0) > 0
    assert message.usage.output_tokens > len(thoughts)


def test_a_stream_says_what_a_whole_message_does(client: Anthropic) -> None:
    whole = client.messages.create(messages=QUESTION, **ASKED)
    with client.messages.stream(messages=QUESTION, **ASKED) as stream:
        assert "".join(stream.text_stream) == getattr(whole.content[0], "text", None)


def test_a_raw_stream_begins_and_ends_as_it_should(client: Anthropic) -> None:
    kinds = [
        event.type for event in client.messages.create(messages=QUESTION, stream=True, **ASKED)
    ]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]


@pytest.mark.anyio
async def test_the_async_client(tiny_url: str) -> None:
    import anthropic

    async with anthropic.AsyncAnthropic(base_url=tiny_url, api_key="none", max_retries=0) as client:
        message = await client.messages.create(messages=QUESTION, **ASKED)
        async with client.messages.stream(messages=QUESTION, **ASKED) as stream:
            said = [text async for text in stream.text_stream]
    assert "".join(said) == getattr(message.content[0], "text", None)


def test_a_stop_sequence_is_told(client: Anthropic) -> None:
    message = client.messages.create(messages=QUESTION, stop_sequences=["17", "nothing"], **ASKED)
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "17")
    assert "17" not in getattr(message.content[0], "text", "17")


def test_too_few_tokens_are_told(client: Anthropic) -> None:
    message = client.messages.create(messages=QUESTION, **{**ASKED, "max_tokens": 4})
    assert message.stop_reason == "max_tokens"


def test_an_answer_that_is_begun_goes_on(client: Anthropic) -> None:
    begun: list[MessageParam] = [*QUESTION, {"role": "assistant", "content": "The answer is"}]
    message = client.messages.create(messages=begun, **ASKED)
    text = getattr(message.content[0], "text", "")
    assert text.startswith(" \\boxed{")
    assert message.usage.output_tokens_details is not None
    assert message.usage.output_tokens_details.thinking_tokens == 0


class Sum(BaseModel):
    """What an answer is held to."""

    total: int


def test_a_structured_answer_is_parsed(client: Anthropic) -> None:
    message = client.messages.parse(messages=QUESTION, output_format=Sum, **ASKED)
    assert isinstance(message.parsed_output, Sum)
    with client.messages.stream(messages=QUESTION, output_format=Sum, **ASKED) as stream:
        assert isinstance(stream.get_final_message().parsed_output, Sum)


def test_tokens_are_counted(client: Anthropic) -> None:
    counted = client.messages.count_tokens(model="tiny", messages=QUESTION).input_tokens
    usage = client.messages.create(messages=QUESTION, **ASKED).usage
    assert counted > 0
    assert usage.input_tokens + (usage.cache_read_input_tokens or 0) >= counted


def test_a_conversation_goes_on_with_its_blocks(client: Anthropic) -> None:
    first = client.messages.create(messages=QUESTION, thinking=THINKING, **ASKED)
    turns: Any = [
        *QUESTION,
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [{"type": "text", "text": "What is 3 + 4?"}]},
    ]
    second = client.messages.create(messages=turns, system="Be short.", **ASKED)
    assert second.stop_reason == "end_turn"


def test_the_list_of_models(client: Anthropic) -> None:
    (model, *_others) = client.models.list()
    assert (model.id, model.type) == ("tiny", "model")
    assert model.max_input_tokens
    assert client.models.retrieve("tiny").id == "tiny"


def test_an_unknown_model_is_not_found(client: Anthropic) -> None:
    import anthropic

    asked = {**ASKED, "model": "claude-unknown"}
    with pytest.raises(anthropic.NotFoundError, match="claude-unknown") as error:
        client.messages.create(messages=QUESTION, **asked)
    assert error.value.type == "not_found_error"
    with pytest.raises(anthropic.NotFoundError):
        list(client.messages.create(messages=QUESTION, stream=True, **asked))


BAD: list[tuple[dict[str, Any], str]] = [
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "judge", "content": "Hi"}]}, "role"),
    ({"messages": [{"role": "user", "content": 5}]}, "content"),
    ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "image"),
    ({"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}, "--ignore-tools"),
    ({"messages": "Hi"}, "messages"),
    ({"max_tokens": None}, "max_tokens"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": "many"}, "max_tokens"),
    ({"temperature": -1}, "temperature"),
    ({"thinking": {"type": "enabled", "budget_tokens": "much"}}, "budget_tokens"),
    ({"thinking": 5}, "thinking"),
    ({"tools": [{"name": "look"}]}, "--ignore-tools"),
    ({"output_config": {"format": {"type": "xml"}}}, "json_schema"),
    ({"messages": [{"role": "user", "content": "word " * 20_000}]}, "tokens"),
]


@pytest.mark.parametrize(("changes", "said"), BAD, ids=str)
def test_bad_requests(tiny_url: str, changes: dict[str, Any], said: str) -> None:
    body = {"model": "tiny", "max_tokens": 10, "messages": QUESTION, **changes}
    answer = httpx2.post(f"{tiny_url}/v1/messages", json=body, timeout=WAIT_S)
    told = answer.json()
    assert answer.status_code == 400
    assert told["type"] == "error"
    assert told["error"]["type"] == "invalid_request_error"
    assert said in told["error"]["message"]
    assert told["request_id"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff"])
def test_broken_json(tiny_url: str, body: bytes) -> None:
    answer = httpx2.post(f"{tiny_url}/v1/messages", content=body, timeout=WAIT_S)
    assert answer.status_code == 400
    assert json.loads(answer.content)["error"]["type"] == "invalid_request_error"


def test_tools_that_are_not_to_be_used_are_nothing(client: Anthropic) -> None:
    tool: Any = {"name": "look", "input_schema": {"type": "object"}}
    message = client.messages.create(
        messages=QUESTION, tools=[tool], tool_choice={"type": "none"}, **ASKED
    )
    assert message.stop_reason == "end_turn"


def test_a_reply_that_fails_in_the_middle_is_an_error(served: Callable[..., Served]) -> None:
    import anthropic

    failing = ScriptedReply(answer="It is 2.", error=EngineError("It broke."))
    url = served(ScriptedBackend(failing)).url.rstrip("/")
    with anthropic.Anthropic(base_url=url, api_key="none", max_retries=0) as client:
        with pytest.raises(anthropic.APIStatusError, match="It broke"):
            client.messages.create(messages=QUESTION, **ASKED | {"model": "scripted"})
        with pytest.raises(anthropic.APIStatusError, match="It broke"):
            for _ in client.messages.create(
                messages=QUESTION, stream=True, **ASKED | {"model": "scripted"}
            ):
                pass


def test_tools_are_left_out_where_the_server_ignores_them(served: Callable[..., Served]) -> None:
    import anthropic

    url = served(ignore_tools=True).url.rstrip("/")
    tool: Any = {"name": "look", "input_schema": {"type": "object"}}
    used: Any = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
    result: Any = {"type": "tool_result", "tool_use_id": "t", "content": "42"}
    turns: Any = [
        *QUESTION,
        {"role": "assistant", "content": [used]},
        {"role": "user", "content": [result, {"type": "text", "text": "Go on."}]},
    ]
    with anthropic.Anthropic(base_url=url, api_key="none", max_retries=0) as client:
        message = client.messages.create(
            model="scripted", max_tokens=100, messages=turns, tools=[tool]
        )
    assert getattr(message.content[0], "text", None) == "It is 2."


def test_a_key_comes_in_a_header_of_its_own(served: Callable[..., Served]) -> None:
    import anthropic

    url = served(api_keys=("secret",)).url.rstrip("/")
    asked: dict[str, Any] = {"model": "scripted", "max_tokens": 100, "messages": QUESTION}
    with anthropic.Anthropic(base_url=url, api_key="secret", max_retries=0) as client:
        assert client.messages.create(**asked).content
    with anthropic.Anthropic(base_url=url, api_key="wrong", max_retries=0) as client:
        with pytest.raises(anthropic.AuthenticationError) as error:
            client.messages.create(**asked)
        assert error.value.type == "authentication_error"


def test_a_model_that_does_not_think(smollm2_url: str) -> None:
    import anthropic

    with anthropic.Anthropic(base_url=smollm2_url, api_key="none", max_retries=0) as client:
        model = next(iter(client.models.list())).id
        message = client.messages.create(
            model=model, max_tokens=8, messages=QUESTION, thinking=THINKING, extra_body=GREEDY
        )
    assert [block.type for block in message.content] == ["text"]
