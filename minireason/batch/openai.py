"""Lines of OpenAI's batch API, as files for Mistral, Groq, Together and vLLM's run-batch have them.

    {"custom_id": "q1", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": ...}}

    {"id": "batch_req_...", "custom_id": "q1", "error": null,
     "response": {"status_code": 200, "request_id": "...", "body": {"choices": ...}}}

A body means what it means to our server, and has the reply that this would give. What one whole
reply does not hold (a stream, `n`, a vote, confidences) is refused.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from minireason.batch.base import OPENAI, Noted
from minireason.batch.jobs import Defaults, Item, checked_id, line_object, with_system
from minireason.batch.lines import Line
from minireason.batch.local import Answered
from minireason.errors import UsageError, shown
from minireason.messages import as_messages
from minireason.wire.body import checked
from minireason.wire.call import Call, Origin, Outcome, WireOf
from minireason.wire.errors import ApiError
from minireason.wire.openai import chat_body, responses_body
from minireason.wire.policy import USUAL_FIELD, ReasoningField

CHAT = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """What is done with bodies, see `Policy`."""

    reasoning_field: ReasoningField = USUAL_FIELD
    ignore_tools: bool = False
    tools_advice: str = "ask without them"


POLICY = BatchPolicy()

Read: TypeAlias = Callable[[dict[str, Any]], tuple[Call, WireOf]]


def _chat(plain: dict[str, Any]) -> tuple[Call, WireOf]:
    return chat_body.asked(checked(plain, chat_body.ChatBody), plain, POLICY)


def _response(plain: dict[str, Any]) -> tuple[Call, WireOf]:
    return responses_body.asked(checked(plain, responses_body.ResponseBody), plain, POLICY)


ENDPOINTS: dict[str, tuple[str, Read]] = {
    CHAT: ("chatcmpl-", _chat),
    "/v1/responses": ("resp_", _response),
}
"""By their URLs: how the id of a reply begins, and how a body is read."""


class OpenAIForm:
    """The form of OpenAI's batch API."""

    name, samples = OPENAI, False

    def item(self, line: Line, defaults: Defaults) -> Item:
        """See `Form.item`."""
        value = line_object(line.raw)
        name, plain = _custom_id(value), value.get("body")
        prefix, read = _endpoint(value)
        if not isinstance(plain, dict):
            raise UsageError('its "body" is no object')
        try:
            call, wire_of = read(plain)
        except ApiError as error:
            raise UsageError(error.message) from None
        _refuse(call)
        return Item(
            number=line.number,
            id=name,
            messages=tuple(with_system(as_messages(call.messages), defaults.system)),
            settings=defaults.settings.changed(call.changes),
            model=call.model,
            logprobs=call.logprobs,
            body_of=partial(_body, wire_of, prefix),
        )

    def written(self, answered: Answered, *, numbered: bool) -> dict[str, object]:
        """See `Form.written`."""
        item, token = answered.job.item, secrets.token_hex(12)
        assert item.body_of, "an item of this form"
        logprobs = () if answered.logprobs is None else (answered.logprobs,)
        body = item.body_of(token, Outcome((answered.reply,), logprobs=logprobs))
        response = {"status_code": 200, "request_id": token, "body": body}
        return {
            "id": f"batch_req_{token}",
            "custom_id": item.id,
            "response": response,
            "error": None,
        }

    def noted(self, value: dict[str, Any]) -> Noted | None:
        """See `Form.noted`."""
        match value:
            case {"custom_id": str() | int() as name, "response": {"body": dict() as body}}:
                return Noted(name, 0, _finish_reason(body))
            case _:
                return None


def _custom_id(value: dict[str, Any]) -> str | int:
    if "custom_id" not in value and not value.keys().isdisjoint(("question", "messages")):
        raise UsageError(
            "it has minireason's own form, and the first line that of OpenAI's batch API; give "
            "each form a file of its own"
        )
    if "custom_id" not in value:
        raise UsageError('it has no "custom_id"')
    return checked_id(value["custom_id"], "custom_id")


def _endpoint(value: dict[str, Any]) -> tuple[str, Read]:
    """What is asked; files for those who are told it elsewhere, such as Mistral, do not say."""
    method, url = value.get("method"), value.get("url")
    if method not in (None, "POST"):
        raise UsageError(f"its method is {shown(method)}; only POST asks a model")
    url = CHAT if url is None else url
    whole = f"/v1{url}" if isinstance(url, str) and not url.startswith("/v1/") else url  # Azure's
    if not isinstance(whole, str) or whole not in ENDPOINTS:
        known = " and ".join(ENDPOINTS)
        raise UsageError(f"its url is {shown(url)}; a batch knows {known}")
    return ENDPOINTS[whole]


def _refuse(call: Call) -> None:
    """Raise UsageError for what a whole reply does not hold."""
    problems = {
        "stream: a batch writes whole replies; leave it out": call.stream,
        "n: a batch writes one reply for a line; repeat the line with another custom_id": (
            call.choices > 1
        ),
        "it asks for a vote (samples, stop_rule, parallel, min_votes), which only a server holds": (
            call.vote is not None
        ),
        "confidences: a batch writes none; leave it out": call.confidences,
    }
    for problem, is_asked in problems.items():
        if is_asked:
            raise UsageError(problem)


def _body(wire_of: WireOf, prefix: str, token: str, outcome: Outcome) -> object:
    """What the server would answer."""
    origin = Origin(prefix + token, token, int(time.time()), outcome.replies[0].model)
    return wire_of(origin).whole(outcome)


def _finish_reason(body: dict[str, Any]) -> str:
    """Whether a body of the output was cut off, in the word of a reply."""
    match body:
        case {"choices": [{"finish_reason": "length"}, *_]} | {"status": "incomplete"}:
            return "length"
        case _:
            return "stop"
