"""Processor time a token of `minireason.connect`, beside a server that says what is written.

`python bench/remote_client.py`: the server is a process of its own that computes nothing and sends
one chunk a token as vLLM does, so that only the client counts. One JSON object for each number of
replies at a time. How fast the chunks come says little: both share this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import llama_server
import tools

from minireason.backends.remote.backend import open_remote
from minireason.batch.local import OPTIONS
from minireason.messages import as_messages

TOKENS = 500
ROUNDS = 3


def _chunk(choice: dict[str, object], **further: object) -> bytes:
    body = {"id": "chatcmpl-0", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    told = {**body, "choices": [{"index": 0, **choice}], **further}
    data = b"data: " + json.dumps(told).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(data), data)


def _chunks(tokens: int) -> list[bytes]:
    """A reply, of which no sentence comes twice; a tenth of its tokens is the answer."""
    thought = [{"reasoning_content": f" {number}"} for number in range(tokens - tokens // 10)]
    answer = [{"content": f" {number}"} for number in range(tokens // 10)]
    chunks = [_chunk({"delta": delta, "finish_reason": None}) for delta in (*thought, *answer)]
    usage = {"prompt_tokens": 5, "completion_tokens": tokens}
    return [*chunks, _chunk({"delta": {}, "finish_reason": "stop"}, usage=usage), b"0\r\n\r\n"]


async def _answer(
    chunks: list[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Answer what a client asks, one thing after the other."""
    listed = json.dumps({"data": [{"id": "m", "owned_by": "vllm", "max_model_len": 32_768}]})
    try:
        while head := (await reader.readuntil(b"\r\n\r\n")).decode():
            lines = [line.partition(":") for line in head.lower().splitlines()]
            length = next((value for name, _, value in lines if name == "content-length"), "0")
            await reader.readexactly(int(length))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
            if head.startswith("GET"):
                writer.write(f"Content-Length: {len(listed)}\r\n\r\n{listed}".encode())
                continue
            writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
            for chunk in chunks:
                writer.write(chunk)
                await writer.drain()
                await asyncio.sleep(0)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def _serve(port: int, tokens: int) -> None:
    answer = functools.partial(_answer, _chunks(tokens))
    server = await asyncio.start_server(answer, "127.0.0.1", port)
    await server.serve_forever()


@contextmanager
def served(tokens: int) -> Iterator[str]:
    """The URL of such a server, in a process of its own, whose replies have so many tokens."""
    port = llama_server.free_port()
    sizes = {"--serve": port, "--tokens": tokens}
    with subprocess.Popen([sys.executable, __file__, *tools.flags(sizes)]) as server:
        try:
            llama_server.wait_for(port, server)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.kill()


def measure(url: str, parallel: int) -> dict[str, float]:
    """Ask so many at a time, some rounds."""
    backend = open_remote(url, max_parallel=parallel)
    began, cpu_s, tokens = time.monotonic(), time.process_time(), 0
    for _ in range(ROUNDS):
        ask = [as_messages(f"Question {number}?") for number in range(parallel)]
        streams = [backend.stream(one, backend.defaults, OPTIONS) for one in ask]
        while waiting := [stream for stream in streams if not stream.ended]:
            for stream in waiting:
                stream.poll()
        tokens += sum(stream.tokens for stream in streams)
    cpu_s, seconds = time.process_time() - cpu_s, time.monotonic() - began
    backend.close()
    assert tokens == ROUNDS * parallel * TOKENS, tokens
    return {
        "parallel": parallel,
        "cpu_us_a_token": round(cpu_s / tokens * 1e6, 1),
        "tokens_per_s": round(tokens / seconds),
    }


def main() -> None:
    """Start the server, and ask it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", type=int, metavar="PORT", help="be the server")
    parser.add_argument("--tokens", type=int, default=TOKENS, help="of each reply")
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(_serve(arguments.serve, arguments.tokens))
        return
    with served(TOKENS) as url:
        for parallel in (1, 16, 64, 256):
            print(json.dumps(measure(url, parallel)), flush=True)


if __name__ == "__main__":
    main()
