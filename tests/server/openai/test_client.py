"""OpenAI's own client, unmodified, against a server that runs."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from tests.server.serving import Served

openai = pytest.importorskip("openai")

MESSAGES: Any = [{"role": "user", "content": "What is 12 + 5?"}]
ASKED: Any = {"model": "tiny", "messages": MESSAGES, "temperature": 0, "max_tokens": 2000}
RESPONSE: Any = {"model": "tiny", "input": "What is 12 + 5?", "temperature": 0}


class Sum(BaseModel):
    """What an answer is held to."""

    sum: int


@pytest.fixture(scope="module")
def client(server: Served) -> Iterator[Any]:
    with openai.OpenAI(base_url=f"{server.url}v1", api_key="none", max_retries=0) as made:
        yield made


def test_a_chat(client: Any) -> None:
    told = client.chat.completions.create(**ASKED)
    (choice,) = told.choices
    assert "17" in choice.message.content
    assert choice.message.reasoning_content
    assert choice.message.reasoning == choice.message.reasoning_content
    assert choice.finish_reason == "stop"
    usage = told.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert 0 < usage.completion_tokens_details.reasoning_tokens < usage.completion_tokens
    assert usage.prompt_tokens_details.cached_tokens == usage.prompt_cache_hit_tokens
    assert usage.prompt_cache_hit_tokens + usage.prompt_cache_miss_tokens == usage.prompt_tokens
    assert told.timings["predicted_n"] == usage.completion_tokens
    assert told.minireason["thinking_end"] == "natural"
    assert told.model == "tiny"


def test_a_streamed_chat_adds_up(client: Any) -> None:
    whole = client.chat.completions.create(**ASKED).choices[0].message
    options = {"include_usage": True}
    chunks = list(client.chat.completions.create(**ASKED, stream=True, stream_options=options))
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    for name in ("content", "reasoning_content", "reasoning"):
        said = "".join(getattr(delta, name, None) or "" for delta in deltas)
        assert said == getattr(whole, name)
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == chunks[-1].timings["predicted_n"]


def test_several_choices_repeat_by_their_seed(client: Any) -> None:
    asked = {**ASKED, "temperature": 1.5, "n": 3, "seed": 7}
    told = client.chat.completions.create(**asked)
    assert [choice.index for choice in told.choices] == [0, 1, 2]
    assert [one["seed"] for one in told.minireason["choices"]] == [7, 8, 9]


def test_a_stop_text_ends_an_answer(client: Any) -> None:
    told = client.chat.completions.create(**ASKED, stop=["17"])
    assert "17" not in told.choices[0].message.content
    assert "17" in told.choices[0].message.reasoning_content
    assert told.choices[0].finish_reason == "stop"


def test_an_answer_of_a_class_of_one_s_own(client: Any) -> None:
    told = client.chat.completions.parse(**ASKED, response_format=Sum)
    assert isinstance(told.choices[0].message.parsed, Sum)
    assert told.choices[0].message.reasoning_content


def test_the_stream_helper(client: Any) -> None:
    with client.chat.completions.stream(**ASKED, response_format=Sum) as stream:
        events = list(stream)
        final = stream.get_final_completion()
    parsed = final.choices[0].message.parsed
    assert isinstance(parsed, Sum)
    assert final.choices[0].message.reasoning_content
    (done,) = [event for event in events if event.type == "content.done"]
    assert done.parsed == parsed


def test_logprobs_are_those_of_the_answer(client: Any) -> None:
    asked = {**ASKED, "logprobs": True, "top_logprobs": 3}
    told = client.chat.completions.create(**asked).choices[0]
    tokens = told.logprobs.content
    assert b"".join(bytes(token.bytes) for token in tokens).decode() == told.message.content
    for token in tokens:
        assert len(token.top_logprobs) == 3
        assert token.logprob <= 0
        assert math.isclose(token.logprob, token.top_logprobs[0].logprob, abs_tol=1e-3)
    chunks = client.chat.completions.create(**asked, stream=True)
    streamed = [
        token
        for chunk in chunks
        for choice in chunk.choices
        if choice.logprobs
        for token in choice.logprobs.content
    ]
    assert [token.token for token in streamed] == [token.token for token in tokens]


def test_an_answer_goes_on_where_the_assistant_began(client: Any) -> None:
    begun = [*MESSAGES, {"role": "assistant", "content": "12 + 5 = "}]
    told = client.chat.completions.create(**{**ASKED, "messages": begun})
    assert "17" in told.choices[0].message.content
    assert not hasattr(told.choices[0].message, "reasoning_content")


@pytest.mark.parametrize(
    "spelling",
    [
        {"reasoning_effort": "none"},
        {"extra_body": {"thinking": {"type": "disabled"}}},
        {"extra_body": {"chat_template_kwargs": {"enable_thinking": False}}},
        {"extra_body": {"reasoning": {"max_tokens": 0}}},
    ],
)
def test_a_thought_is_skipped_in_all_spellings(client: Any, spelling: Any) -> None:
    told = client.chat.completions.create(**ASKED, **spelling)
    assert not hasattr(told.choices[0].message, "reasoning_content")
    assert told.usage.completion_tokens_details.reasoning_tokens == 0
    assert told.minireason["thinking_end"] == "skipped"


def test_a_budget_above_the_context_is_clamped_and_told(client: Any) -> None:
    asked = {**ASKED, "max_tokens": None, "extra_body": {"thinking_token_budget": 10**9}}
    told = client.chat.completions.create(**asked)
    assert "17" in told.choices[0].message.content
    assert 0 < told.minireason["thinking_budget"] < 10**9


def test_a_response(client: Any) -> None:
    told = client.responses.create(**RESPONSE)
    thought, message = told.output
    assert (thought.type, message.type) == ("reasoning", "message")
    assert thought.content[0].text
    assert "17" in told.output_text
    assert told.status == "completed"
    assert 0 < told.usage.output_tokens_details.reasoning_tokens < told.usage.output_tokens


def test_a_streamed_response_adds_up(client: Any) -> None:
    whole = client.responses.create(**RESPONSE)
    with client.responses.stream(**RESPONSE) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert final.output_text == whole.output_text
    thought = "".join(
        event.delta for event in events if event.type == "response.reasoning_text.delta"
    )
    assert thought == whole.output[0].content[0].text


def test_a_response_of_a_class_of_one_s_own(client: Any) -> None:
    told = client.responses.parse(**RESPONSE, text_format=Sum)
    assert isinstance(told.output_parsed, Sum)


def test_a_response_s_output_is_the_next_one_s_input(client: Any) -> None:
    first = client.responses.create(**RESPONSE)
    items = [{"role": "user", "content": RESPONSE["input"]}, *first.output]
    asked = {**RESPONSE, "input": [*items, {"role": "user", "content": "What is 3 + 4?"}]}
    assert client.responses.create(**asked).status == "completed"


def test_a_response_that_is_cut_off_is_incomplete(client: Any) -> None:
    with client.responses.stream(**RESPONSE, max_output_tokens=1) as stream:
        *_, last = stream
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize("n", [1, 2])
def test_confidences_are_told_of_each_token(client: Any, n: int) -> None:
    asked = {**ASKED, "n": n, "extra_body": {"confidences": True}}
    told = client.chat.completions.create(**asked)
    whole = told.minireason.get("choices", [told.minireason])
    sampled = told.usage.completion_tokens - sum(one["forced_tokens"] for one in whole)
    assert sum(len(one["confidences"]) for one in whole) == sampled + n, "the end is sampled too"
    assert all(value > 0 for one in whole for value in one["confidences"])
    chunks = list(client.chat.completions.create(**asked, stream=True))
    ends = {
        chunk.choices[0].index: chunk.minireason["confidences"]
        for chunk in chunks
        if getattr(chunk, "minireason", None)
    }
    assert [len(ends[at]) for at in range(n)] == [len(one["confidences"]) for one in whole]
    assert "confidences" not in client.chat.completions.create(**ASKED).minireason


def test_a_response_s_logprobs(client: Any) -> None:
    include = ["message.output_text.logprobs"]
    told = client.responses.create(**RESPONSE, include=include, top_logprobs=2)
    part = told.output[-1].content[0]
    assert "".join(token.token for token in part.logprobs) == part.text
    assert all(len(token.top_logprobs) == 2 for token in part.logprobs)


def test_the_asynchronous_client(server: Served) -> None:
    async def ask() -> tuple[str, str, str, str]:
        url = f"{server.url}v1"
        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
            whole = await client.chat.completions.create(**ASKED)
            stream = await client.chat.completions.create(**ASKED, stream=True)
            pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
            response = await client.responses.create(**RESPONSE)
            async with client.responses.stream(**RESPONSE) as events:
                final = await events.get_final_response()
        content = whole.choices[0].message.content
        return content, "".join(pieces), response.output_text, final.output_text

    assert len(set(asyncio.run(ask()))) == 1


def test_models(client: Any) -> None:
    (model,) = client.models.list()
    assert model.id == "tiny"
    assert client.models.retrieve("tiny").minireason == model.minireason
    assert model.minireason["thinks"] is True
    assert model.minireason["loaded"] is True
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no/such")


def test_embeddings_are_refused_in_a_sentence(client: Any) -> None:
    with pytest.raises(openai.InternalServerError, match="give no embeddings") as error:
        client.embeddings.create(model="tiny", input="a text")
    assert error.value.status_code == 501


def test_a_completion(client: Any) -> None:
    asked = {"model": "tiny", "prompt": "What is 12", "temperature": 0, "max_tokens": 4}
    whole = client.completions.create(**asked).choices[0]
    assert whole.finish_reason in ("stop", "length")
    chunks = client.completions.create(**asked, stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.text
    echoed = client.completions.create(**asked, echo=True).choices[0].text
    assert echoed == f"What is 12{whole.text}"


def test_a_completion_s_logprobs(client: Any) -> None:
    asked = {"model": "tiny", "prompt": "What is 12", "temperature": 0, "max_tokens": 4}
    told = client.completions.create(**asked, logprobs=2).choices[0]
    assert "".join(told.logprobs.tokens) == told.text
    assert all(logprob <= 0 for logprob in told.logprobs.token_logprobs)
    assert [len(top) for top in told.logprobs.top_logprobs] == [2] * len(told.logprobs.tokens)
    for token, offset in zip(told.logprobs.tokens, told.logprobs.text_offset, strict=True):
        assert told.text[offset:].startswith(token)


@pytest.mark.parametrize("parse_special", [False, True])
def test_control_tokens_of_a_raw_text_are_text_unless_they_are_wanted(
    client: Any, parse_special: bool
) -> None:
    asked = {"model": "tiny", "prompt": "<think>", "temperature": 0, "max_tokens": 1}
    told = client.completions.create(**asked, extra_body={"parse_special": parse_special})
    assert (told.usage.prompt_tokens <= 2) is parse_special
