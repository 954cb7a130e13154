"""One request whose reply is streamed: its pieces wait in an inbox until they are read."""

from __future__ import annotations

import asyncio
import json
import math
import random
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from minireason.backends.capabilities import Retry
from minireason.backends.remote import bounds, cookies, faults, pieces
from minireason.backends.remote.connection import Address, Connection, unreachable
from minireason.backends.remote.pieces import Piece
from minireason.backends.remote.sse import DONE, EventReader
from minireason.errors import MinireasonError, ServerError

if TYPE_CHECKING:
    import httpx2

TRIES = 5
"""How often a request is sent at most, while nothing of its reply came."""

FIRST_WAIT_S = 0.5
"""Seconds at most until the second try; the waits double."""

_LONGEST_WAIT_S = 60.0
_UNREAD_S = 0.02


class End:
    """Stands at the end of the pieces of a whole reply."""


class News:
    """Tells whoever waits that something came for one of many streams."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.count = 0
        """How often something came."""
        self.retry: Retry | None = None
        """See `TellsRetries.retry`."""

    def tell(self) -> None:
        """Something came."""
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def wait(self, seen: int, seconds: float) -> None:
        """Wait until more came than `seen`, but no longer than so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self.count != seen, seconds)


class Inbox:
    """What came of one reply and was not read yet."""

    def __init__(self, news: News, cookie: str = "") -> None:
        self.items: deque[Piece | End | MinireasonError] = deque()
        self.begun = False
        """Whether any text came: from then on the request must not be sent again."""
        self.cookie = cookie
        """What later requests of the same reply bring back."""
        self._news = news
        self._came = self._taken = 0
        """Characters of JSON, each counted by the thread of one side."""

    def put(self, item: Piece | End | MinireasonError) -> None:
        """Add what came."""
        if isinstance(item, Piece):
            self.begun = self.begun or bool(item.text)
            self._came += item.size
        self.items.append(item)
        self._news.tell()

    def take(self) -> Piece | End | MinireasonError:
        """Take out what came first; there is something."""
        item = self.items.popleft()
        if isinstance(item, Piece):
            self._taken += item.size
        return item

    async def room(self) -> None:
        """Wait while too much is there that nobody reads."""
        while (
            len(self.items) > bounds.MAX_UNREAD
            or self._came - self._taken > bounds.MAX_UNREAD_CHARS
        ):
            await asyncio.sleep(_UNREAD_S)


class Exchange:
    """A request under way; nothing of it refers back to whoever reads its `inbox`.

    `after` is the one before it of the same reply.
    """

    def __init__(
        self,
        connection: Connection,
        path: str,
        body: Mapping[str, Any],
        news: News,
        after: Exchange | None = None,
    ) -> None:
        self.inbox: Inbox = Inbox(news, after.inbox.cookie if after else "")
        self._place = replace(connection.place, cookie=self.inbox.cookie)
        url = f"{self._place.base}{path}"
        sender = _Sender(connection.client, self._place, url, body, self.inbox, news)
        self._future = connection.start(sender.run())

    @property
    def place(self) -> Address:
        """Where the reply is, for another request to the same server behind a load balancer."""
        return replace(self._place, cookie=self.inbox.cookie)

    def cancel(self) -> None:
        """End it where it has not ended, and free its connection; waits for nothing."""
        self._future.cancel()


class _Again(Exception):
    """The same request may go well later."""

    def __init__(self, error: MinireasonError, problem: str, wait_s: float | None = None) -> None:
        super().__init__()
        self.error, self.problem, self.wait_s = error, problem, wait_s


class _Sender:
    """Sends a request until its reply begins, and puts what comes into the inbox."""

    def __init__(
        self,
        client: httpx2.AsyncClient,
        place: Address,
        url: str,
        body: Mapping[str, Any],
        inbox: Inbox,
        news: News,
    ) -> None:
        self._client, self._place, self._url = client, place, url
        self._inbox, self._news = inbox, news
        self._body, self._model = body, str(body.get("model", ""))

    async def run(self) -> None:
        """Put pieces, then an End or an error."""
        try:
            await self._until_it_begins()
        except MinireasonError as error:
            self._inbox.put(error)
        except Exception as error:  # whatever a stranger's bytes make the HTTP library raise
            told = faults.plain(f"{type(error).__name__}: {error}", self._place.key)
            self._inbox.put(ServerError(f"{self._place.host} cannot be understood ({told})."))
        finally:
            self._news.retry = None

    async def _until_it_begins(self) -> None:
        """Send it up to TRIES times, while nothing of its reply came; raises what ends that."""
        longest_s = FIRST_WAIT_S
        for number in range(1, TRIES + 1):
            try:
                await self._once()
                return
            except _Again as again:
                if number == TRIES or self._inbox.begun:
                    raise again.error from None
                wait_s = longest_s * random.uniform(0.5, 1.0)
                if again.wait_s is not None:
                    wait_s = again.wait_s
                at_s = time.monotonic() + wait_s
                self._news.retry = Retry(again.problem, number + 1, TRIES, at_s)
                await asyncio.sleep(wait_s)
                longest_s *= 2

    async def _once(self) -> None:
        """Send it once; raises _Again or an error of ours."""
        import httpx2

        try:
            async with self._asked(self._body) as response:
                came = await self._read(response)
            if not came:
                await self._ask_why()
        except httpx2.ReadTimeout as error:
            raise unreachable(self._place, error) from None
        except httpx2.TransportError as error:
            is_there = not isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout)
            raise self._again(error, "broke off" if is_there else "not reached") from None

    @asynccontextmanager
    async def _asked(self, body: Mapping[str, Any]) -> AsyncIterator[httpx2.Response]:
        """The response to a body; raises the error of one that is refused."""
        headers = {**self._place.headers, "Content-Type": "application/json"}
        async with self._client.stream(
            "POST", self._url, content=json.dumps(body).encode(), headers=headers
        ) as response:
            if response.status_code != 200:
                raise _refusal(self._place, response, await bounds.body(response), self._model)
            self._news.retry = None
            self._inbox.cookie = cookies.of(response) or self._inbox.cookie
            yield response

    async def _ask_why(self) -> None:
        """Raise why a stream was empty.

        A server that fails once it has begun to stream cannot tell. So it is asked for a whole
        reply, of one token, which it may refuse with a reason. It mostly closes the connection of
        the empty stream, and once that is known the next request takes another.
        """
        import httpx2

        body = {**self._body, "stream": False, "max_tokens": 1}
        body.pop("stream_options", None)
        for _ in range(2):
            with suppress(httpx2.RemoteProtocolError):
                async with self._asked(body) as response:
                    await bounds.body(response)
                break
        raise self._again(ConnectionError("the reply was empty"))

    def _again(self, error: Exception, problem: str = "broke off") -> _Again:
        if not self._inbox.begun:
            return _Again(unreachable(self._place, error), problem)
        lost = f"The connection to {self._place.host} was lost in the middle of the reply"
        return _Again(ServerError(f"{lost}; ask again."), problem)

    async def _read(self, response: httpx2.Response) -> bool:
        """Put the pieces of a reply; False if there was nothing at all."""
        came, finished, chars = False, False, 0
        async with aclosing(_events(response)) as events:
            async for data in events:
                came = True
                if data == DONE:
                    break
                piece = self._piece(data)
                finished = finished or piece.finish is not None
                parts = max(bool(piece.text), len(piece.logprobs))
                chars += len(piece.text) + bounds.PIECE_CHARS * parts
                if chars > bounds.MAX_REPLY_CHARS:
                    raise bounds.too_long(self._place.host)
                self._inbox.put(piece)
                await self._inbox.room()
        if not came:
            return False
        if not finished:
            raise self._again(ConnectionError("the reply has no end"))
        self._inbox.put(End())
        return True

    def _piece(self, data: str) -> Piece:
        try:
            chunk = json.loads(data)
        except (ValueError, RecursionError):
            chunk = None
        if not isinstance(chunk, Mapping):
            raise ServerError(
                f"{self._place.host} sent what is no JSON of a reply; is it a server of OpenAI's "
                "protocol?"
            )
        piece = pieces.read(chunk, len(data))
        if error := faults.of_event(self._place.host, chunk, piece.finish, self._place.key):
            raise error
        return piece


async def _events(response: httpx2.Response) -> AsyncGenerator[str]:
    """The data of each event; a whole reply that was not streamed is one."""
    if "json" in response.headers.get("content-type", ""):
        yield (await bounds.body(response)).decode("utf-8", "replace")
        return
    reader = EventReader()
    async for piece in response.aiter_bytes():
        for data in reader.feed(piece):
            yield data
    for data in reader.flush():
        yield data


def _refusal(place: Address, response: httpx2.Response, body: bytes, model: str) -> Exception:
    """The error of a status, within _Again where it may go well later."""
    status = response.status_code
    error = faults.of_status(place.host, status, body, place.key, model)
    if status not in faults.RETRIED:
        return error
    problem = f"{'busy' if status in faults.BUSY else 'failed'} (status {status})"
    try:
        wait_s = float(response.headers.get("retry-after", ""))
    except ValueError:
        return _Again(error, problem)
    if math.isnan(wait_s):
        return _Again(error, problem)
    return _Again(error, problem, min(max(wait_s, 0.0), _LONGEST_WAIT_S))
