"""What a server answers instead of a reply -> one of our errors, without the key."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from minireason.errors import (
    ContextFull,
    MinireasonError,
    NotServed,
    ServerError,
    UsageError,
    shortened,
)

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
"""Statuses after which the same request may go well."""

BUSY = frozenset({429, 503, 529})
"""Those of them by which a server says that it has too much to do."""

BROKEN_OFF = frozenset({"abort", "error"})
"""Ends of a reply that is not whole, by which vLLM and others tell that they failed."""

FILTERED = "content_filter"
"""The end of a reply that its server does not show, or not to its end."""

_MAX_REASON = 300

_TOO_LONG = (
    re.compile(r"prompt has (?:about )?(?P<prompt>\d+) tokens and the context holds (?P<room>\d+)"),
    re.compile(r"request \((?P<prompt>\d+) tokens\) .* context size \((?P<room>\d+)"),
    re.compile(r"context length is (?P<room>\d+) tokens.*?\((?P<prompt>\d+) in "),
    re.compile(r"context length is (?P<room>\d+) tokens.*?(?P<prompt>\d+) input tokens"),
)
"""What is said of a prompt that is too long: by ours, llama-server, OpenAI, and newer vLLM."""


def of_status(
    host: str, status: int, body: bytes, key: str | None, model: str = ""
) -> MinireasonError:
    """The error that a status means."""
    told = reason(body, key)
    because = f": {told}" if told else ""
    if 300 <= status < 400:
        return ServerError(
            f"{host} redirects to another address, which is not followed, so that the key goes "
            "nowhere else; give that address itself.",
            status,
        )
    if status in (401, 403):
        wants = "does not accept the API key" if key else "wants an API key"
        return ServerError(
            f"{host} {wants} (status {status}{because}); set MINIREASON_API_KEY, or give api_key "
            "(on the command line --api-key-file).",
            status,
        )
    if status == 404 and model and "model" in told.lower():
        return NotServed(host, model, ())
    if status == 404:
        return ServerError(
            f"{host} has no such path (status 404{because}); a URL mostly ends with /v1.", status
        )
    if too_long := _too_long(told):
        return too_long
    if 400 <= status < 500 and status not in RETRIED:
        return UsageError(f"{host} refused the request (status {status}){because}")
    return ServerError(f"{host} cannot answer now (status {status}{because}); try later.", status)


def reason(body: bytes, key: str | None) -> str:
    """What the body of an error says, in one short line without the key."""
    text = body.decode("utf-8", "replace")
    with suppress(ValueError, RecursionError):
        text = _told(json.loads(text)) or text
    return plain(text, key)


def of_event(
    host: str, chunk: Mapping[str, Any], finish: str | None, key: str | None
) -> MinireasonError | None:
    """The error that a chunk of a stream holds, or ends the reply with; None if it is none."""
    if finish == FILTERED:
        return UsageError(f"{host} withholds the reply (content_filter); ask in other words.")
    if not chunk.get("error") and finish not in BROKEN_OFF:
        return None
    told = plain(_told(chunk), key) or finish or "no reason given"
    return ServerError(f"{host} broke the reply off: {told}")


def plain(text: str, key: str | None = None) -> str:
    """What a server says, in one short line that has no key and controls no terminal."""
    beginning = hidden(text, key)[: 10 * _MAX_REASON]
    printable = "".join(char if char.isprintable() else " " for char in beginning)
    return shortened(" ".join(printable.split()), _MAX_REASON)


def _too_long(told: str) -> ContextFull | None:
    """The error of a prompt that does not fit the context; None where the reason is another."""
    for sentence in _TOO_LONG:
        said = sentence.search(told)
        if said and int(said["prompt"]) >= int(said["room"]):
            return ContextFull(int(said["prompt"]), int(said["room"]), served=True)
    return None


def hidden(text: str, key: str | None) -> str:
    """The text with the key taken out, should a server repeat it."""
    return text.replace(key, "[key]") if key else text


def _told(body: Any) -> str:
    """The message in the body of an error, "" if there is none."""
    if isinstance(body, str):
        return body
    if not isinstance(body, Mapping):
        return ""
    for name in ("error", "message", "detail"):
        if told := _told(body.get(name)):
            return told
    return ""
