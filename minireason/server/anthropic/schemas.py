"""JSON schemas of what Anthropic's API replies, for the OpenAPI document."""

from __future__ import annotations

from minireason.server.operation import Schema
from minireason.server.schemas import (
    COUNT,
    OURS,
    TEXT,
    list_of,
    maybe,
    one_of,
    optional,
    record,
)

ERROR: Schema = record(type=one_of("error"), error=record(type=TEXT, message=TEXT), request_id=TEXT)

_BLOCK = optional(record(type=one_of("thinking", "text")), text=TEXT, thinking=TEXT, signature=TEXT)

MESSAGE: Schema = record(
    id=TEXT,
    type=one_of("message"),
    role=one_of("assistant"),
    model=TEXT,
    content=list_of(_BLOCK),
    stop_reason=one_of("end_turn", "max_tokens", "stop_sequence"),
    stop_sequence=maybe(TEXT),
    usage=record(
        input_tokens=COUNT,
        cache_creation_input_tokens=COUNT,
        cache_read_input_tokens=COUNT,
        output_tokens=COUNT,
        output_tokens_details=record(thinking_tokens=COUNT),
    ),
    minireason=OURS,
)

TOKENS: Schema = record(input_tokens=COUNT)
