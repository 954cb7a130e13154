"""What bodies mean in our words, and what is said of those that mean nothing."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from minireason.server.settings import ServerSettings
from minireason.wire.body import Body, invalid
from minireason.wire.errors import ApiError
from minireason.wire.openai import fields as openai_fields
from minireason.wire.openai.chat_body import ChatBody, conversation
from minireason.wire.openai.responses_body import ResponseBody
from minireason.wire.openai.responses_body import conversation as items

IGNORING = ServerSettings(ignore_tools=True)
QUESTION = {"role": "user", "content": "1+1?"}


def chat(**fields: Any) -> ChatBody:
    return ChatBody.model_validate({"messages": [QUESTION], **fields})


@pytest.mark.parametrize(
    ("kind", "plain", "place"),
    [
        (ChatBody, {"messages": "1+1?"}, "messages"),
        (ChatBody, {"messages": []}, "messages"),
        (ChatBody, {}, "messages"),
        (ChatBody, {"messages": [{"role": "robot", "content": "?"}]}, "messages[0].role"),
        (ChatBody, {"messages": [{"content": "?"}]}, "messages[0].role"),
        (ChatBody, {"messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
        (
            ChatBody,
            {"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]},
            "messages[0].content[0].text",
        ),
        (ChatBody, {"messages": [QUESTION], "temperature": "hot"}, "temperature"),
        (ChatBody, {"messages": [QUESTION], "temperature": 2.5}, "temperature"),
        (ChatBody, {"messages": [QUESTION], "stream": "yes"}, "stream"),
        (ChatBody, {"messages": [QUESTION], "max_tokens": 0}, "max_tokens"),
        (ChatBody, {"messages": [QUESTION], "stop": ["a", 1]}, "stop[1]"),
        (ChatBody, {"messages": [QUESTION], "parallel": "all"}, "parallel"),
        (ChatBody, {"messages": [QUESTION], "response_format": {}}, "response_format.type"),
        (ResponseBody, {"input": []}, "input"),
        (ResponseBody, {"input": 1}, "input"),
        (ResponseBody, {"input": [{"role": "robot", "content": "?"}]}, "input[0].role"),
    ],
)
def test_the_field_at_fault_is_named(kind: type[Body], plain: dict[str, Any], place: str) -> None:
    with pytest.raises(ValidationError) as raised:
        kind.model_validate(plain)
    error = invalid(raised.value, plain)
    assert (error.status, error.param) == (400, place)
    assert error.message.startswith(f"{place}: ")


def test_a_conversation_in_our_words() -> None:
    body = chat(
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
            {"role": "user", "content": [{"type": "text", "text": text} for text in "ab"]},
            {"role": "assistant", "content": "c", "reasoning_content": "old"},
            {"role": "user", "content": "d"},
            {"role": "assistant", "content": "e", "reasoning": "new"},
        ]
    )
    assert conversation(body.messages, ServerSettings()) == [
        {"role": "system", "content": "Be brief.\n\nBe kind."},
        {"role": "user", "content": "a\nb"},
        {"role": "assistant", "content": "c"},
        {"role": "user", "content": "d"},
        {"role": "assistant", "content": "e", "thinking": "new"},
    ]


@pytest.mark.parametrize(
    "message",
    [
        {"role": "tool", "content": "2", "tool_call_id": "1"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
    ],
)
def test_messages_of_tools_are_refused_or_ignored(message: dict[str, Any]) -> None:
    body = chat(messages=[QUESTION, message, QUESTION])
    with pytest.raises(ApiError, match=r"messages\[1\].*--ignore-tools"):
        conversation(body.messages, ServerSettings())
    assert conversation(body.messages, IGNORING) == [QUESTION, QUESTION]


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"type": "function"}]},
        {"tools": [{"type": "function"}], "tool_choice": "auto"},
        {"tool_choice": "required"},
        {"functions": [{"name": "f"}]},
    ],
)
def test_tools_are_refused_or_ignored(fields: dict[str, Any]) -> None:
    with pytest.raises(ApiError, match="--ignore-tools"):
        openai_fields.check_tools(chat(**fields), ServerSettings())
    openai_fields.check_tools(chat(**fields), IGNORING)


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": []},
        {"tools": None, "tool_choice": "auto"},
        {"tools": [{"type": "function"}], "tool_choice": "none"},
    ],
)
def test_tools_that_are_not_to_be_called_are_accepted(fields: dict[str, Any]) -> None:
    openai_fields.check_tools(chat(**fields), ServerSettings())


@pytest.mark.parametrize("kind", ["image_url", "input_audio", "file"])
def test_what_is_no_text_is_refused_by_its_place(kind: str) -> None:
    body = chat(messages=[{"role": "user", "content": [{"type": kind}]}])
    with pytest.raises(ApiError) as raised:
        conversation(body.messages, ServerSettings())
    assert raised.value.param == "messages[0].content[0]"


SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("fields", "changes"),
    [
        ({}, {}),
        ({"response_format": {"type": "text"}}, {}),
        ({"response_format": {"type": "json_object"}}, {"schema": {"type": "object"}}),
        ({"response_format": {"type": "json_object", "schema": SCHEMA}}, {"schema": SCHEMA}),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "a", "schema": SCHEMA, "strict": True},
                }
            },
            {"schema": SCHEMA},
        ),
        ({"json_schema": SCHEMA}, {"schema": SCHEMA}),
        ({"guided_json": SCHEMA}, {"schema": SCHEMA}),
        ({"guided_json": '{"type": "integer"}'}, {"schema": {"type": "integer"}}),
        ({"guided_choice": ["a", "b"]}, {"choices": ["a", "b"]}),
        ({"guided_regex": "[0-9]"}, {"regex": "[0-9]"}),
        ({"structured_outputs": {"json": SCHEMA}}, {"schema": SCHEMA}),
        ({"structured_outputs": {"choice": ["a"]}}, {"choices": ["a"]}),
        ({"structured_outputs": {"regex": "a"}}, {"regex": "a"}),
    ],
)
def test_a_form_of_the_answer_in_all_spellings(
    fields: dict[str, Any], changes: dict[str, Any]
) -> None:
    assert openai_fields.structure(chat(**fields)) == changes


@pytest.mark.parametrize(
    "fields",
    [
        {"grammar": "root ::= 'a'"},
        {"structured_outputs": {"grammar": "root ::= 'a'"}},
        {"guided_json": "{"},
        {"response_format": {"type": "json_schema"}},
    ],
)
def test_a_form_that_cannot_be_followed_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as raised:
        openai_fields.structure(chat(**fields))
    assert raised.value.status == 400


@pytest.mark.parametrize(
    ("fields", "changes"),
    [
        ({"temperature": 0, "top_k": -1}, {"temperature": 0.0, "top_k": 0}),
        ({"top_p": 0}, {"top_p": openai_fields.SMALLEST_TOP_P}),
        ({"seed": -1}, {}),
        ({"seed": 2**63}, {"seed": 2**63 % (2**32 - 1)}),
        ({"temperature": None, "seed": None}, {}),
    ],
)
def test_sampling_in_our_words(fields: dict[str, Any], changes: dict[str, Any]) -> None:
    assert openai_fields.sampling(chat(**fields)) == changes


def test_items_of_a_response_in_our_words() -> None:
    body = ResponseBody.model_validate(
        {
            "instructions": "Be brief.",
            "input": [
                {"role": "developer", "content": "Be kind."},
                {
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_text", "text": "a"}],
                },
                {"type": "reasoning", "id": "rs_1", "summary": []},
                {"role": "assistant", "content": [{"type": "output_text", "text": "b"}]},
                {"role": "user", "content": "c"},
            ],
        }
    )
    assert items(body, ServerSettings()) == [
        {"role": "system", "content": "Be brief.\n\nBe kind."},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]


@pytest.mark.parametrize(
    "item", [{"type": "function_call_output", "output": "2"}, {"type": "item_reference"}, {}]
)
def test_items_that_cannot_be_read_are_refused_by_their_place(item: dict[str, Any]) -> None:
    body = ResponseBody.model_validate({"input": [item]})
    with pytest.raises(ApiError) as raised:
        items(body, ServerSettings())
    assert raised.value.param == "input[0]"
