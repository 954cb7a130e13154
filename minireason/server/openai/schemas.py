"""JSON schemas of what the OpenAI APIs reply, for the OpenAPI document."""

from __future__ import annotations

from minireason.server.operation import Schema
from minireason.server.schemas import (
    ANY_OBJECT,
    COUNT,
    FLAG,
    NUMBER,
    TEXT,
    list_of,
    maybe,
    one_of,
    optional,
    record,
)

_FINISH = one_of("stop", "length")

ERROR: Schema = record(
    error=record(message=TEXT, type=TEXT, param=maybe(TEXT), code=maybe(TEXT)),
)

_USAGE = optional(
    record(
        prompt_tokens=COUNT,
        completion_tokens=COUNT,
        total_tokens=COUNT,
        completion_tokens_details=record(reasoning_tokens=COUNT),
    ),
    prompt_tokens_details=record(cached_tokens=COUNT),
    prompt_cache_hit_tokens=COUNT,
    prompt_cache_miss_tokens=COUNT,
)

_TIMINGS = record(
    cache_n=COUNT,
    **{
        f"{part}_{what}": COUNT if what == "n" else NUMBER
        for part in ("prompt", "predicted")
        for what in ("n", "ms", "per_token_ms", "per_second")
    },
)

_EXTRAS = optional(
    record(request_id=TEXT),
    thinking_budget=COUNT,
    thinking_end=maybe(TEXT),
    forced_tokens=COUNT,
    seed=COUNT,
    confidences=list_of(NUMBER),
    choices=list_of(ANY_OBJECT),
    answer=maybe(TEXT),
    agreement=NUMBER,
    candidates=list_of(ANY_OBJECT),
    chains=list_of(ANY_OBJECT),
    stopped_because=TEXT,
    notes=list_of(TEXT),
)


def _completion(kind: str, choice: Schema) -> Schema:
    whole = record(
        id=TEXT,
        object=one_of(kind),
        created=COUNT,
        model=TEXT,
        system_fingerprint=TEXT,
        choices=list_of(choice),
        usage=_USAGE,
        minireason=_EXTRAS,
    )
    return optional(whole, timings=_TIMINGS)


_MESSAGE = optional(
    record(role=one_of("assistant"), content=TEXT), reasoning_content=TEXT, reasoning=TEXT
)

CHAT_COMPLETION = _completion(
    "chat.completion",
    record(index=COUNT, message=_MESSAGE, logprobs=maybe(ANY_OBJECT), finish_reason=_FINISH),
)

TEXT_COMPLETION = _completion(
    "text_completion",
    record(index=COUNT, text=TEXT, logprobs=maybe(ANY_OBJECT), finish_reason=_FINISH),
)

RESPONSE = record(
    id=TEXT,
    object=one_of("response"),
    created_at=COUNT,
    status=one_of("completed", "incomplete"),
    model=TEXT,
    output=list_of(record(id=TEXT, type=one_of("reasoning", "message"))),
    usage=record(
        input_tokens=COUNT,
        input_tokens_details=record(cached_tokens=COUNT),
        output_tokens=COUNT,
        output_tokens_details=record(reasoning_tokens=COUNT),
        total_tokens=COUNT,
    ),
    minireason=_EXTRAS,
)

MODEL = record(
    id=TEXT,
    object=one_of("model"),
    created=COUNT,
    owned_by=TEXT,
    minireason=record(thinks=FLAG, n_ctx=COUNT, loaded=FLAG),
)

MODELS = record(object=one_of("list"), data=list_of(MODEL))

CONTROL = optional(record(success=FLAG), message=TEXT)

DOCUMENT: Schema = record(openapi=TEXT, info=ANY_OBJECT, paths=ANY_OBJECT)
