"""How much a server may send: one that lies is not to fill our memory, nor to be waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minireason.errors import ServerError

if TYPE_CHECKING:
    import httpx2

MAX_BODY_BYTES = 16 * 2**20
"""The longest answer that does not come in pieces, and the longest piece."""

MAX_REPLY_CHARS = 32 * 2**20
"""The longest reply; each of its pieces, and each token of which log-probabilities are told, counts
`PIECE_CHARS` more for what it takes beside."""

PIECE_CHARS = 64

MAX_UNREAD = 4096
"""So many pieces of a reply wait to be read; the server has to wait with the next ones."""

MAX_UNREAD_CHARS = 4 * 2**20
"""The same by the characters of their JSON, of which each may take twenty bytes of memory."""


async def body(response: httpx2.Response) -> bytes:
    """The whole body of an answer, decompressed; raises ServerError if it is too long."""
    whole = bytearray()
    async for piece in response.aiter_bytes():
        whole += piece
        if len(whole) > MAX_BODY_BYTES:
            raise too_long(response.request.url.netloc.decode("ascii", "replace"))
    return bytes(whole)


def too_long(host: str) -> ServerError:
    """The error of a server that sends without an end."""
    return ServerError(
        f"{host} sends more than any answer holds; is it a server of OpenAI's protocol?"
    )
