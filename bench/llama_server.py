"""A llama-server of its own, and what it says in a chat."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tools

Message = dict[str, str]


def first_token_s(
    subject: tools.Subject, history: list[Message], question: Message, request: dict[str, Any]
) -> float:
    """Seconds to the first token of the reply to a question after two messages of history.

    The first of them is answered before, to `max_tokens` of the request; the second stands in the
    place of that answer.
    """
    with running(subject) as port:
        for _ in pieces(port, history[:1], request):
            pass
        began = time.perf_counter()
        stream = pieces(port, [*history, question], request)
        next(stream)
        seconds = time.perf_counter() - began
        stream.close()
        return seconds


@contextmanager
def running(subject: tools.Subject, *, slots: int = 1, slot_tokens: int = 4096) -> Iterator[int]:
    """A llama-server that has read its model; its port."""
    if not shutil.which(tools.SERVER):
        raise tools.ToolFailed(f"{tools.SERVER} is not on the PATH; CONTRIBUTING.md tells more")
    port = free_port()
    sizes = {"-c": slots * slot_tokens, "-np": slots, "--port": port, "--host": "127.0.0.1"}
    command = [tools.SERVER, *subject.arguments, *tools.flags(sizes), "--cache-prompt"]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet) as process:
        try:
            wait_for(port, process)
            yield port
        finally:
            process.terminate()


def free_port() -> int:
    """A port of loopback that nobody has now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes], patience_s: float = 60.0) -> None:
    """Return once the server answers; raises ToolFailed where it ends or takes too long."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until and process.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise tools.ToolFailed(f"the server on port {port} did not start")


def pieces(port: int, messages: list[Message], request: dict[str, Any]) -> Iterator[str]:
    """The pieces of a reply as they come."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    body = json.dumps({**request, "messages": messages, "stream": True, "cache_prompt": True})
    connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    if response.status != 200:
        raise tools.ToolFailed(f"{tools.SERVER} says {response.status}: {response.read()[:500]!r}")
    try:
        for line in response:
            if text := piece(line.decode("utf-8", "replace")):
                yield text
    finally:
        connection.close()


def piece(line: str) -> str:
    """The text in a line of the event stream: of the thought or of the answer, perhaps none."""
    if not line.startswith("data: {"):
        return ""
    choices = json.loads(line.removeprefix("data: ")).get("choices") or [{}]
    delta = choices[0].get("delta", {})
    return str(delta.get("reasoning_content") or delta.get("content") or "")
