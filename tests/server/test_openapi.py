"""The OpenAPI document, and whether what it says of replies is so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from minireason.server import apis, openapi
from minireason.server.anthropic import schemas as anthropic_schemas
from minireason.server.anthropic.wire import MessageWire
from minireason.server.ollama import schemas as ollama_schemas
from minireason.server.ollama import wire as ollama_wire
from minireason.server.openai import schemas as openai_schemas
from minireason.server.openai.completions import CompletionStyle, CompletionWire
from minireason.server.operation import Schema
from minireason.wire.call import Call, Outcome
from minireason.wire.errors import ApiError
from minireason.wire.openai.chat_wire import ChatStyle, ChatWire
from minireason.wire.openai.responses_wire import ResponseStyle, ResponseWire
from minireason.wire.openai.shapes import error_body
from minireason.wire.openai.vote_wire import VoteWire
from tests.wire.openai.reading import ORIGIN, reply
from tests.wire.openai.test_vote_wire import NOTHING, SOLUTION

OUTCOME = Outcome((reply("So", "2"),), clamped_budget=9)
CALL = Call(model=None)


def references(value: Any) -> Iterator[str]:
    """All that a document refers to."""
    if isinstance(value, dict):
        yield from (text for name, text in value.items() if name == "$ref")
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_everything_that_the_document_refers_to_is_in_it() -> None:
    document = openapi.document(apis.operations())
    json.dumps(document)
    for reference in references(document):
        target = document
        for name in reference.removeprefix("#/").split("/"):
            target = target[name]


@pytest.mark.parametrize(
    ("schema", "body"),
    [
        (openai_schemas.CHAT_COMPLETION, ChatWire(ORIGIN, 1, ChatStyle()).whole(OUTCOME)),
        (
            openai_schemas.CHAT_COMPLETION,
            VoteWire(ORIGIN, ChatStyle()).whole(Outcome(solution=SOLUTION)),
        ),
        (
            openai_schemas.CHAT_COMPLETION,
            VoteWire(ORIGIN, ChatStyle()).whole(Outcome(solution=NOTHING)),
        ),
        (
            openai_schemas.TEXT_COMPLETION,
            CompletionWire(ORIGIN, CALL, CompletionStyle()).whole(OUTCOME),
        ),
        (openai_schemas.RESPONSE, ResponseWire(ORIGIN, ResponseStyle()).whole(OUTCOME)),
        (openai_schemas.ERROR, error_body(ApiError(400, "No."), "req-1")),
        (anthropic_schemas.MESSAGE, MessageWire(ORIGIN).whole(OUTCOME)),
        (anthropic_schemas.ERROR, apis.error_body("/v1/messages", ApiError(400, "No."), "req-1")),
        (ollama_schemas.CHAT, ollama_wire.ChatWire(ORIGIN, None).whole(OUTCOME)),
        (ollama_schemas.CHAT, ollama_wire.ChatWire(ORIGIN, None).without_reply("load")),
        (ollama_schemas.GENERATION, ollama_wire.GenerateWire(ORIGIN, None).whole(OUTCOME)),
        (ollama_schemas.ERROR, apis.error_body("/api/chat", ApiError(400, "No."), "req-1")),
    ],
)
def test_a_reply_is_as_the_document_says(schema: Schema, body: Any) -> None:
    jsonschema.validate(body, schema)
