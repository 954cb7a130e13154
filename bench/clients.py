"""Clients of a chat completion that stream, many at a time: what they get, and when."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any

Request = dict[str, Any]

_END_OF_HEAD = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Got:
    """What one client got: its text, thought included, and seconds from its request on."""

    text: str
    tokens: int
    first_s: float
    whole_s: float


class Refused(Exception):
    """A server that answered with an error; `status` is what HTTP says."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"status {status}: {body[:300]}")
        self.status = status


async def ask(port: int, request: Request, *, leave_after: int | None = None) -> Got | None:
    """Stream a reply; None where the client goes away after so many pieces."""
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(head_and_body(request))
        status = int((await reader.readuntil(_END_OF_HEAD)).split(maxsplit=2)[1])
        if status != 200:
            raise Refused(status, (await reader.read(65536)).decode("utf-8", "replace"))
        return await read(reader, began, leave_after)
    finally:
        writer.close()


def head_and_body(request: Request) -> bytes:
    """A request as HTTP has it, on a connection that is closed after it."""
    wanted = {"stream": True, "stream_options": {"include_usage": True}, **request}
    body = json.dumps(wanted).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def read(reader: asyncio.StreamReader, began: float, leave_after: int | None) -> Got | None:
    """The reply of a stream, whose lines may stand in chunks of HTTP."""
    pieces: list[str] = []
    first_s, tokens = None, 0
    while line := await reader.readline():
        if not line.startswith(b"data: {"):
            continue
        chunk = json.loads(line[6:])
        if "error" in chunk:
            raise Refused(500, json.dumps(chunk["error"]))
        if usage := chunk.get("usage"):
            tokens = usage["completion_tokens"]
        if text := text_of(chunk):
            first_s = time.perf_counter() - began if first_s is None else first_s
            pieces.append(text)
            if leave_after is not None and len(pieces) > leave_after:
                return None
    whole_s = time.perf_counter() - began
    return Got("".join(pieces), tokens, whole_s if first_s is None else first_s, whole_s)


def text_of(chunk: dict[str, Any]) -> str:
    """What a chunk brings of thought or answer."""
    choices = chunk.get("choices") or [{}]
    delta = choices[0].get("delta") or {}
    thought = delta.get("reasoning_content") or delta.get("reasoning") or ""
    return str(thought + (delta.get("content") or ""))


async def side_by_side(port: int, requests: list[Request]) -> list[Got]:
    """All at once."""
    replies = await asyncio.gather(*(ask(port, request) for request in requests))
    return [reply for reply in replies if reply]


async def one_after_another(port: int, requests: list[Request], clients: int) -> list[Got]:
    """So many clients, each of which sends its next request as soon as it has its reply."""
    waiting, got = list(reversed(requests)), []

    async def client() -> None:
        while waiting:
            reply = await ask(port, waiting.pop())
            if reply:
                got.append(reply)

    await asyncio.gather(*(client() for _ in range(clients)))
    return got
