"""Processor time a token of `minireason.connect`, beside a server that says what is written.

`python bench/remote_client.py`: the server is a process of its own that computes nothing and sends
one chunk a token as vLLM does, so that only the client counts. One JSON object for each number of
replies at a time. How fast the chunks come says little: both share this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time

import llama_server

from minireason.backends.remote.backend import open_remote
from minireason.batch.local import OPTIONS
from minireason.messages import as_messages

TOKENS, ANSWER_TOKENS = 500, 50
ROUNDS = 3


def _chunk(choice: dict[str, object], **further: object) -> bytes:
    body = {"id": "chatcmpl-0", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    told = {**body, "choices": [{"index": 0, **choice}], **further}
    data = b"data: " + json.dumps(told).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(data), data)


def _chunks() -> list[bytes]:
    """A reply, of which no sentence comes twice."""
    thought = [{"reasoning_content": f" {number}"} for number in range(TOKENS - ANSWER_TOKENS)]
    answer = [{"content": f" {number}"} for number in range(ANSWER_TOKENS)]
    chunks = [_chunk({"delta": delta, "finish_reason": None}) for delta in (*thought, *answer)]
    usage = {"prompt_tokens": 5, "completion_tokens": TOKENS}
    return [*chunks, _chunk({"delta": {}, "finish_reason": "stop"}, usage=usage), b"0\r\n\r\n"]


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer what a client asks, one thing after the other."""
    listed = json.dumps({"data": [{"id": "m", "owned_by": "vllm", "max_model_len": 32_768}]})
    chunks = _chunks()
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


async def _serve(port: int) -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", port)
    await server.serve_forever()


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
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(_serve(arguments.serve))
        return
    port = llama_server.free_port()
    with subprocess.Popen([sys.executable, __file__, "--serve", str(port)]) as server:
        try:
            time.sleep(1)
            for parallel in (1, 16, 64, 256):
                print(json.dumps(measure(f"http://127.0.0.1:{port}/v1", parallel)), flush=True)
        finally:
            server.kill()


if __name__ == "__main__":
    main()
