"""JSON schemas of what Ollama's API replies, for the OpenAPI document."""

from __future__ import annotations

from minireason.server.operation import Schema
from minireason.server.schemas import (
    ANY_OBJECT,
    COUNT,
    OURS,
    TEXT,
    list_of,
    maybe,
    one_of,
    optional,
    record,
)

ERROR: Schema = record(error=TEXT)

_DONE = {
    "model": TEXT,
    "created_at": TEXT,
    "done": one_of(True),
    "done_reason": one_of("stop", "length", "load", "unload"),
}
_COUNTS = {
    "total_duration": COUNT,
    "load_duration": COUNT,
    "prompt_eval_count": COUNT,
    "prompt_eval_duration": COUNT,
    "eval_count": COUNT,
    "eval_duration": COUNT,
    "minireason": OURS,
    "logprobs": list_of(ANY_OBJECT),
}
_MESSAGE = optional(record(role=one_of("assistant"), content=TEXT), thinking=TEXT)

CHAT: Schema = optional(record(**_DONE, message=_MESSAGE), **_COUNTS)
GENERATION: Schema = optional(record(**_DONE, response=TEXT), thinking=TEXT, **_COUNTS)

_DETAILS = record(
    parent_model=TEXT,
    format=one_of("gguf"),
    family=TEXT,
    families=maybe(list_of(TEXT)),
    parameter_size=TEXT,
    quantization_level=TEXT,
)
_LISTED = {"name": TEXT, "model": TEXT, "size": COUNT, "details": _DETAILS}

TAGS: Schema = record(models=list_of(optional(record(**_LISTED, modified_at=TEXT), digest=TEXT)))

RUNNING: Schema = record(
    models=list_of(
        optional(
            record(**_LISTED, expires_at=TEXT, size_vram=COUNT, context_length=COUNT),
            digest=TEXT,
        )
    )
)

SHOWN: Schema = optional(
    record(
        modelfile=TEXT,
        parameters=TEXT,
        template=TEXT,
        license=TEXT,
        details=_DETAILS,
        model_info=ANY_OBJECT,
        capabilities=list_of(one_of("completion", "thinking")),
        modified_at=TEXT,
    ),
    thinking=ANY_OBJECT,
)

VERSION: Schema = record(version=TEXT, minireason=TEXT)

PULLED: Schema = record(status=one_of("success"), model=TEXT)
