"""JSON schemas of what the OpenAI APIs reply, for the OpenAPI document."""

from __future__ import annotations

from minireason.server.operation import Schema


def _object(**properties: Schema) -> Schema:
    """An object with these properties, all of them there, and perhaps others."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def _optional(schema: Schema, **properties: Schema) -> Schema:
    """The schema of an object with more properties, which may be missing."""
    return {**schema, "properties": {**schema["properties"], **properties}}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _const(value: str) -> Schema:
    return {"type": "string", "const": value}


def _maybe(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_NUMBER: Schema = {"type": "number"}
_FLAG: Schema = {"type": "boolean"}
_ANY_OBJECT: Schema = {"type": "object"}
_FINISH: Schema = {"type": "string", "enum": ["stop", "length"]}

ERROR: Schema = _object(
    error=_object(message=_TEXT, type=_TEXT, param=_maybe(_TEXT), code=_maybe(_TEXT)),
)

_USAGE = _optional(
    _object(
        prompt_tokens=_COUNT,
        completion_tokens=_COUNT,
        total_tokens=_COUNT,
        completion_tokens_details=_object(reasoning_tokens=_COUNT),
    ),
    prompt_tokens_details=_object(cached_tokens=_COUNT),
    prompt_cache_hit_tokens=_COUNT,
    prompt_cache_miss_tokens=_COUNT,
)

_TIMINGS = _object(
    cache_n=_COUNT,
    **{
        f"{part}_{what}": _COUNT if what == "n" else _NUMBER
        for part in ("prompt", "predicted")
        for what in ("n", "ms", "per_token_ms", "per_second")
    },
)

_EXTRAS = _optional(
    _object(request_id=_TEXT),
    thinking_budget=_COUNT,
    thinking_end=_maybe(_TEXT),
    forced_tokens=_COUNT,
    seed=_COUNT,
    choices=_list(_ANY_OBJECT),
    answer=_maybe(_TEXT),
    agreement=_NUMBER,
    candidates=_list(_ANY_OBJECT),
    chains=_list(_ANY_OBJECT),
    stopped_because=_TEXT,
    notes=_list(_TEXT),
)


def _completion(kind: str, choice: Schema) -> Schema:
    whole = _object(
        id=_TEXT,
        object=_const(kind),
        created=_COUNT,
        model=_TEXT,
        system_fingerprint=_TEXT,
        choices=_list(choice),
        usage=_USAGE,
        minireason=_EXTRAS,
    )
    return _optional(whole, timings=_TIMINGS)


_MESSAGE = _optional(
    _object(role=_const("assistant"), content=_TEXT), reasoning_content=_TEXT, reasoning=_TEXT
)

CHAT_COMPLETION = _completion(
    "chat.completion",
    _object(
        index=_COUNT, message=_MESSAGE, logprobs=_maybe(_ANY_OBJECT), finish_reason=_FINISH
    ),
)

TEXT_COMPLETION = _completion(
    "text_completion",
    _object(index=_COUNT, text=_TEXT, logprobs=_maybe(_ANY_OBJECT), finish_reason=_FINISH),
)

RESPONSE = _object(
    id=_TEXT,
    object=_const("response"),
    created_at=_COUNT,
    status={"type": "string", "enum": ["completed", "incomplete"]},
    model=_TEXT,
    output=_list(_object(id=_TEXT, type={"type": "string", "enum": ["reasoning", "message"]})),
    usage=_object(
        input_tokens=_COUNT,
        input_tokens_details=_object(cached_tokens=_COUNT),
        output_tokens=_COUNT,
        output_tokens_details=_object(reasoning_tokens=_COUNT),
        total_tokens=_COUNT,
    ),
    minireason=_EXTRAS,
)

MODEL = _object(
    id=_TEXT,
    object=_const("model"),
    created=_COUNT,
    owned_by=_TEXT,
    minireason=_object(thinks=_FLAG, n_ctx=_COUNT, loaded=_FLAG),
)

MODELS = _object(object=_const("list"), data=_list(MODEL))

CONTROL = _optional(_object(success=_FLAG), message=_TEXT)

DOCUMENT: Schema = _object(openapi=_TEXT, info=_ANY_OBJECT, paths=_ANY_OBJECT)

