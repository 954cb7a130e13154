"""POST /v1/completions: a raw text goes on; what it holds of control tokens stays text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from minireason.events import AnswerDelta, Event, Reply, ThinkingDelta
from minireason.server.answering import Answer
from minireason.server.body import read
from minireason.server.openai import schemas as openai_schemas
from minireason.server.operation import Operation
from minireason.voting.solution import SolveEvent
from minireason.wire.call import Call, Origin, Outcome, Wire
from minireason.wire.errors import ApiError
from minireason.wire.logprobs import ScoredDelta
from minireason.wire.openai.chunks import Chunks
from minireason.wire.openai.fields import (
    MAX_CHOICES,
    Sampling,
    StreamWishes,
    Structure,
    Tokens,
    longest,
    sampling,
    stops,
    structure,
)
from minireason.wire.openai.logprobs import of_text
from minireason.wire.openai.shapes import (
    EVENT_STREAM,
    PING,
    compact,
    data_line,
    error_body,
    error_shape,
    finish_reason,
    whole_completion,
)

PATH, KIND = "/v1/completions", "text_completion"

USUAL_TOKENS = 16
"""How long a completion becomes of which nobody says it, as OpenAI and vLLM have it."""


class CompletionBody(Sampling, Structure):
    """The body of a completion; fields that it does not name are ignored."""

    prompt: str | list[str]
    stream_options: StreamWishes | None = None
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    stop: str | list[str] | None = None
    max_tokens: Tokens | None = None
    echo: bool | None = None
    suffix: str | None = None
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    parse_special: bool | None = None


@dataclass(frozen=True, slots=True)
class CompletionStyle:
    """How a client wants a completion written; `echo` comes before its text."""

    echo: str = ""
    include_usage: bool = False


async def completions(request: Request) -> Response:
    """Go on with a text."""
    body, _ = await read(request, CompletionBody)
    prompt = _prompt(body)
    tokens = USUAL_TOKENS if body.max_tokens is None else body.max_tokens
    call = Call(
        model=body.model,
        prompt=prompt,
        parse_special=bool(body.parse_special),
        changes=sampling(body) | longest(tokens) | stops(body.stop) | structure(body),
        choices=body.n or 1,
        logprobs=body.logprobs,
        stream=bool(body.stream),
    )
    style = CompletionStyle(
        prompt if body.echo else "",
        include_usage=bool(body.stream_options and body.stream_options.include_usage),
    )

    def wire(origin: Origin) -> Wire:
        return CompletionWire(origin, call, style)

    return Answer(request, call, wire, error_shape, prefix="cmpl-")


def _prompt(body: CompletionBody) -> str:
    """The one text to go on with; raises ApiError."""
    if body.suffix:
        problem = "suffix: nothing can be filled in before a text; leave it out."
        raise ApiError(400, problem, "unsupported_parameter", "suffix")
    if body.echo and body.logprobs is not None:
        problem = "echo: there are no logprobs of a prompt; leave one of the two out."
        raise ApiError(400, problem, "unsupported_parameter", "echo")
    texts = [body.prompt] if isinstance(body.prompt, str) else body.prompt
    if len(texts) != 1:
        problem = "prompt has to be one text; send a request for each."
        raise ApiError(400, problem, "invalid_value", "prompt")
    return texts[0]


class CompletionWire:
    """A completion of one or several choices."""

    media_type = EVENT_STREAM

    def __init__(self, origin: Origin, call: Call, style: CompletionStyle) -> None:
        self._origin, self._style, self._choices = origin, style, call.choices
        self._chunks = Chunks(origin, KIND, include_usage=style.include_usage)
        self._offsets = [0] * call.choices

    def begin(self) -> Iterable[bytes]:
        """See `Wire.begin`: what is echoed."""
        echo = self._style.echo
        return [self._chunk(index, echo) for index in range(self._choices)] if echo else []

    def event(self, index: int, event: Event | SolveEvent) -> Iterable[bytes]:
        """See `Wire.event`: the text is one, whatever the model takes for its thought."""
        match event:
            case ScoredDelta(text, tokens):
                logprobs = compact(of_text(tokens, self._offsets[index]))
                self._offsets[index] += len(text)
                return (self._chunk(index, text, logprobs=logprobs),)
            case ThinkingDelta(text) | AnswerDelta(text):
                return (self._chunk(index, text),)
            case _:
                return ()

    def ping(self) -> bytes:
        """See `Wire.ping`."""
        return PING

    def end(self, outcome: Outcome) -> Iterable[bytes]:
        """See `Wire.end`: the last chunk of each choice, and the usage."""
        yield from self._chunks.ends(outcome, '"text":""')
        yield from self._chunks.end(outcome, {})

    def fail(self, error: ApiError) -> Iterable[bytes]:
        """See `Wire.fail`."""
        return [data_line(error_body(error, self._origin.request_id))]

    def whole(self, outcome: Outcome) -> object:
        """See `Wire.whole`."""
        choices = [self._choice(index, reply) for index, reply in enumerate(outcome.replies)]
        for choice, tokens in zip(choices, outcome.logprobs, strict=False):
            choice["logprobs"] = of_text(tokens)
        return whole_completion(self._origin, KIND, outcome, choices)

    def _choice(self, index: int, reply: Reply) -> dict[str, Any]:
        return {
            "index": index,
            "text": self._style.echo + reply.thinking + reply.answer,
            "logprobs": None,
            "finish_reason": finish_reason(reply),
        }

    def _chunk(self, index: int, text: str, *, logprobs: str = "null") -> bytes:
        return self._chunks.choice(index, f'"text":{compact(text)}', logprobs=logprobs)


def routes() -> list[Route]:
    """The route of completions."""
    return [Route(PATH, completions, methods=["POST"])]


def operations() -> list[Operation]:
    """What the OpenAPI document says of it."""
    return [
        Operation(
            PATH,
            "post",
            "Completion of a raw text",
            openai_schemas.TEXT_COMPLETION,
            openai_schemas.ERROR,
            body=CompletionBody,
            streams="text/event-stream",
        )
    ]
