"""Fields that the requests of the OpenAI APIs have in common, and what they mean in our words."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from minireason.errors import shown
from minireason.settings import MAX_SEED, Changes
from minireason.wire.body import Body
from minireason.wire.errors import ApiError
from minireason.wire.policy import Policy
from minireason.wire.tools import refuse_tools

MAX_CHOICES = 128
"""The most replies to one prompt (`n`), as OpenAI has it."""

SMALLEST_TOP_P = 1e-6
"""What a `top_p` of 0 means: the likeliest token alone."""

TEXT_PARTS = ("text", "input_text", "output_text")

GRAMMARS = ("grammar", "guided_grammar", "structural_tag")
"""Ways to hold an answer to a form that are refused, since nothing here follows them."""


Tokens: TypeAlias = Annotated[int, Field(ge=1)] | Literal[-1]
"""How many tokens at most; -1 is no limit, as in llama-server."""


class Sampling(Body):
    """How tokens are drawn; null counts as not given."""

    model: str | None = None
    stream: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=-1)] | None = None
    seed: int | None = None


class StreamWishes(Body):
    """`stream_options`."""

    include_usage: bool | None = None


class Part(Body):
    """A part of a message's content."""

    type: str
    text: str | None = None


class Tools(Body):
    """Tools, which no model here can call."""

    tools: list[Any] | None = None
    tool_choice: str | dict[str, Any] | None = None
    functions: list[Any] | None = None
    function_call: str | dict[str, Any] | None = None


class JsonSchema(Body):
    """`response_format.json_schema`."""

    name: str | None = None
    schema_: dict[str, Any] | None = Field(None, alias="schema")


class Format(Body):
    """The form of an answer: `response_format` of a chat completion, `text.format` of a response.

    OpenAI's chat completions have the schema in `json_schema`, its responses and llama-server in
    `schema`.
    """

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None
    schema_: dict[str, Any] | None = Field(None, alias="schema")


class StructuredOutputs(Body):
    """`structured_outputs` of vLLM."""

    json_: dict[str, Any] | str | None = Field(None, alias="json")
    choice: list[str] | None = None
    regex: str | None = None
    json_object: bool | None = None


class Structure(Body):
    """What the answer is held to: OpenAI's way, llama-server's, and vLLM's two."""

    response_format: Format | None = None
    json_schema: dict[str, Any] | None = None
    guided_json: dict[str, Any] | str | None = None
    guided_choice: list[str] | None = None
    guided_regex: str | None = None
    structured_outputs: StructuredOutputs | None = None


def sampling(body: Sampling) -> Changes:
    """The settings of sampling that a body asks for."""
    changes = Changes()
    if body.temperature is not None:
        changes["temperature"] = body.temperature
    if body.top_p is not None:
        changes["top_p"] = max(body.top_p, SMALLEST_TOP_P)
    if body.top_k is not None:
        changes["top_k"] = max(body.top_k, 0)
    if body.seed is not None and body.seed != -1:  # llama-server's way to draw one
        changes["seed"] = body.seed % (MAX_SEED + 1)
    return changes


def longest(tokens: int | None) -> Changes:
    """The setting of the longest reply."""
    return Changes() if tokens is None or tokens == -1 else Changes(max_tokens=tokens)


def stops(stop: str | list[str] | None) -> Changes:
    """The setting of stop texts; empty ones would end every answer, and are left out."""
    texts = [stop] if isinstance(stop, str) else stop or []
    kept = [text for text in texts if text]
    return Changes(stop=kept) if kept else Changes()


def structure(body: Structure) -> Changes:
    """The settings of structured output that a body asks for; raises ApiError."""
    outputs = body.structured_outputs or StructuredOutputs.model_construct()
    for name in GRAMMARS:
        if any((part.model_extra or {}).get(name) is not None for part in (body, outputs)):
            problem = (
                f"{name}: grammars cannot be followed; use a JSON schema, a choice or a regex."
            )
            raise ApiError(400, problem, "unsupported_value", name)
    changes = Changes()
    if body.response_format is not None:
        changes |= form(body.response_format, "response_format")
    if body.json_schema is not None:
        changes["schema"] = body.json_schema
    if outputs.json_object:
        changes["schema"] = {"type": "object"}
    for name, schema in (
        ("guided_json", body.guided_json),
        ("structured_outputs.json", outputs.json_),
    ):
        if schema is not None:
            changes["schema"] = _schema(name, schema)
    if (choices := body.guided_choice or outputs.choice) is not None:
        changes["choices"] = choices
    if (regex := body.guided_regex or outputs.regex) is not None:
        changes["regex"] = regex
    return changes


def form(asked: Format, name: str) -> Changes:
    """The settings of a `Format` in the field `name`; raises ApiError."""
    if asked.type == "text":
        return Changes()
    nested = asked.json_schema.schema_ if asked.json_schema else None
    schema = nested if nested is not None else asked.schema_
    if asked.type == "json_schema" and schema is None:
        problem = f"{name} has no schema; give one, or the type json_object."
        raise ApiError(400, problem, "missing_required_parameter", name)
    return Changes(schema={"type": "object"} if schema is None else schema)


def _schema(name: str, given: dict[str, Any] | str) -> dict[str, Any]:
    """A schema that may be written as text."""
    if not isinstance(given, str):
        return given
    import pydantic_core

    try:
        schema = pydantic_core.from_json(given)
    except ValueError:
        schema = None
    if not isinstance(schema, dict):
        raise ApiError(400, f"{name} has to be a JSON schema.", "invalid_value", name)
    return schema


def check_tools(body: Tools, policy: Policy) -> None:
    """Raise ApiError where a body wants tools to be called, unless they are ignored."""
    for name, choice in (("tools", "tool_choice"), ("functions", "function_call")):
        chosen = getattr(body, choice)
        if chosen != "none" and (getattr(body, name) or chosen not in (None, "auto")):
            refuse_tools(policy, name, name)


def text_of(content: str | list[Part] | None, place: str) -> str:
    """The text of a message's content; raises ApiError for what is no text."""
    if not isinstance(content, list):
        return content or ""
    return "\n".join(_text(part, f"{place}[{number}]") for number, part in enumerate(content))


def _text(part: Part, place: str) -> str:
    if part.type not in TEXT_PARTS:
        problem = (
            f"{place}: a part of type {shown(part.type)} cannot be read; models here read text."
        )
        raise ApiError(400, problem, "unsupported_content", place)
    if part.text is None:
        raise ApiError(400, f"{place}: the text is missing.", "invalid_value", f"{place}.text")
    return part.text
