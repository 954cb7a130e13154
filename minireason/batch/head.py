"""What the head of a Ray cluster says to a stranger, which Ray itself tries for half a minute."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from io import BufferedReader

REACHED_S = 10.0
"""So long a head may take to answer."""

_MOST_BYTES = 2**16

_CALL = {
    ":method": "POST",
    ":scheme": "http",
    ":path": "/ray.rpc.NodeInfoGcsService/GetClusterId",
    ":authority": "ray",
    "content-type": "application/grpc",
    "te": "trailers",
}
"""What Ray too asks first, as a call of gRPC."""

_DATA, _HEADERS, _SETTINGS = 0, 1, 4
_END_STREAM, _END_HEADERS = 1, 4
_NO_ARGUMENTS = bytes(5)


def wants_token(host: str, port: int, within_s: float = REACHED_S) -> bool:
    """Whether the head there says that it lets nobody in without a token; over TLS it is not asked.

    One that is too busy to say so, or says it in other bytes, is left to Ray. Raises OSError where
    none is reached.
    """
    with socket.create_connection((host, port), within_s) as reached:
        if os.environ.get("RAY_USE_TLS", "0").lower() not in ("0", "false"):
            return False
        reached.sendall(_greeting())
        with reached.makefile("rb") as said:
            if said.read(4)[3:] != bytes([_SETTINGS]):
                raise OSError("what listens there is no Ray")
            return b"InvalidAuthToken" in _answer(said)


def _answer(said: BufferedReader) -> bytes:
    """What comes until the call is answered, or no more comes."""
    answer = b""
    with suppress(TimeoutError):
        while b"grpc-status" not in answer and len(answer) < _MOST_BYTES:
            more = said.read1()
            if not more:
                break
            answer += more
    return answer


def _greeting() -> bytes:
    """How HTTP/2 begins (RFC 9113, 3.4), and the call."""
    headers = b"".join(
        bytes(1) + _text(name) + _text(value)  # as they are, not to be remembered (RFC 7541, 6.2.2)
        for name, value in _CALL.items()
    )
    frames = (
        _frame(_SETTINGS, 0, 0, b""),
        _frame(_HEADERS, _END_HEADERS, 1, headers),
        _frame(_DATA, _END_STREAM, 1, _NO_ARGUMENTS),
    )
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"".join(frames)


def _text(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def _frame(kind: int, flags: int, stream: int, data: bytes) -> bytes:
    return len(data).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + data
