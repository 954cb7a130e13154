"""What the tests of structured answers ask, and what holds for every answer."""

from __future__ import annotations

import json
from typing import Any

import jsonschema

from minireason import Reply

QUESTION = "What is 12 + 5?"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "answer": {"type": "integer", "minimum": 0, "maximum": 9999},
        "sure": {"enum": ["yes", "no", None]},
        "steps": {"type": "array", "items": {"type": "string", "maxLength": 8}, "maxItems": 3},
    },
    "required": ["answer", "sure", "steps"],
    "additionalProperties": False,
}


def assert_valid(reply: Reply) -> None:
    assert reply.finish_reason == "stop"
    assert reply.parsed == json.loads(reply.answer)
    jsonschema.validate(reply.parsed, SCHEMA)
