"""HTTP to one server, on an event loop in a thread of its own, for any threads that ask.

The key goes to this host alone: it stands in no client that follows redirects, in no repr, in no
error and in no log.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
import weakref
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from minireason.backends.remote import bounds, cookies, faults
from minireason.errors import EngineError, MinireasonError, ServerError, UsageError, shown

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")

KEY_VARIABLE = "MINIREASON_API_KEY"
"""The environment variable with the API key, where nothing else says one."""

CONNECT_S, READ_S, ASK_S = 10.0, 600.0, 30.0
"""Seconds until a connection has to be there, until the next byte, and for a short question."""

SPARE_CONNECTIONS = 48
"""Beside those of the replies at a time that were asked for: short questions, and other threads."""

_CRYPTOGRAPHIC = re.compile(r"SSL|TLS|certificate")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is; `key` and `cookie` stand in no repr."""

    base: str
    """The URL up to what each request adds, such as "http://localhost:8000/v1"."""

    key: str | None = field(default=None, repr=False)
    """The API key."""

    cookie: str = field(default="", repr=False)
    """What the requests of one reply bring back; see `cookies`."""

    @property
    def host(self) -> str:
        """Host and port, as errors name the server."""
        return urlsplit(self.base).netloc

    @property
    def root(self) -> str:
        """The URL without the last "/v1"."""
        return self.base.removesuffix("/v1")

    @property
    def headers(self) -> dict[str, str]:
        """What goes with each request."""
        key = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        return key | ({"Cookie": self.cookie} if self.cookie else {})


def address(url: str, key: str | None) -> Address:
    """The address of a URL; raises UsageError, which never shows the key."""
    if not isinstance(url, str):
        raise UsageError(f"A URL is text such as http://localhost:8000/v1, and not {shown(url)}.")
    try:
        parts = urlsplit(url.strip())
        plain = url.strip().isprintable() and " " not in url.strip()
        is_known = plain and parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        is_known = False
    if not is_known:
        named = "That" if "@" in url else shown(url)
        raise UsageError(f"{named} is no URL of a server; give one such as http://HOST:PORT/v1.")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError(
            "The URL of a server holds no key, no query and no fragment; give the key by "
            "MINIREASON_API_KEY or api_key (on the command line --api-key-file)."
        )
    if key is not None and not _is_key(key):
        raise UsageError("The API key is no single word of plain characters; copy it again.")
    return Address(url.strip().rstrip("/"), key or None)


def _is_key(key: object) -> bool:
    """Whether a key can stand in a header."""
    return isinstance(key, str) and all("!" <= char <= "~" for char in key)


class Connection:
    """A client of one server; closing it ends all that is under way."""

    def __init__(
        self, place: Address, *, read_s: float = READ_S, max_connections: int = SPARE_CONNECTIONS
    ) -> None:
        self.place = place
        self._client = _client(place, read_s, max_connections)
        self._loop = asyncio.new_event_loop()
        threading.Thread(
            target=_run, args=(self._loop,), name="minireason-remote", daemon=True
        ).start()
        self._process = os.getpid()
        self._end = weakref.finalize(self, _stop, self._loop, self._client, self._process)
        self._end.atexit = False  # the process takes its sockets with it

    def __repr__(self) -> str:
        return f"<Connection {self.place.host}>"

    @property
    def client(self) -> httpx2.AsyncClient:
        """The client, for coroutines that `start` runs."""
        return self._client

    @property
    def closed(self) -> bool:
        """Whether it was closed, or is another process's: a fork has no thread that reads."""
        return not self._end.alive or os.getpid() != self._process

    def check_open(self) -> None:
        """Raise EngineError where it was closed."""
        if self.closed:
            raise was_closed()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine beside others; raises EngineError where it was closed."""
        if self.closed:
            work.close()
            raise was_closed()
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def get(self, url: str) -> tuple[int, Any]:
        """The status of a URL of this server and its JSON, None where it is none.

        Raises ServerError where nothing comes, and EngineError once it is closed.
        """
        return self._ask("GET", url)

    def post(self, url: str, body: object) -> tuple[int, Any]:
        """The same for a request with a body."""
        return self._ask("POST", url, json.dumps(body).encode())

    def _ask(self, method: str, url: str, content: bytes | None = None) -> tuple[int, Any]:
        future = self.start(ask(self._client, self.place, method, url, content))
        try:
            return future.result()
        except CancelledError:
            raise was_closed() from None
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End all that is under way."""
        self._end()


def was_closed() -> EngineError:
    """The error of whoever uses a connection that is closed."""
    return EngineError(
        "The connection to this server was closed, or made before this process was forked; "
        "connect again."
    )


async def ask(
    client: httpx2.AsyncClient,
    place: Address,
    method: str,
    url: str,
    content: bytes | None = None,
) -> tuple[int, Any]:
    """A short question to a server; see `Connection.get`."""
    headers = {**place.headers, "Content-Type": "application/json"}
    try:
        async with (
            asyncio.timeout(ASK_S),
            client.stream(method, url, content=content, headers=headers) as answer,
        ):
            body = await bounds.body(answer)
    except ServerError:
        raise
    except Exception as error:  # whatever a stranger's bytes make the HTTP library raise
        raise unreachable(place, error) from None
    if answer.status_code in (401, 403) or 300 <= answer.status_code < 400:
        raise faults.of_status(place.host, answer.status_code, body, place.key)
    try:
        return answer.status_code, json.loads(body)
    except (ValueError, RecursionError):
        return answer.status_code, None


def unreachable(place: Address, error: Exception) -> MinireasonError:
    """What an error of the network means."""
    import httpx2

    told = faults.plain(str(error), place.key) or type(error).__name__
    if isinstance(error, httpx2.ConnectTimeout):
        problem = "cannot be reached in time; is the address right?"
    elif isinstance(error, httpx2.ConnectError) and _CRYPTOGRAPHIC.search(told):
        problem = (
            f"cannot be reached by TLS ({told}); if it has none give http://, and if its "
            "certificate is your own name that by SSL_CERT_FILE."
        )
    elif isinstance(error, httpx2.ConnectError):
        problem = f"cannot be reached ({told}); is the server running, and the address right?"
    elif isinstance(error, httpx2.TimeoutException | TimeoutError):
        problem = "said nothing for too long; it may be overloaded, so try later."
    else:
        problem = f"broke the connection off ({told}); try again."
    return ServerError(f"{place.host} {problem}")


def _client(place: Address, read_s: float, max_connections: int) -> httpx2.AsyncClient:
    import httpx2

    encrypted = place.base.startswith("https:")
    try:
        return httpx2.AsyncClient(
            timeout=httpx2.Timeout(read_s, connect=CONNECT_S, pool=None),
            limits=httpx2.Limits(max_connections=max_connections),
            cookies=cookies.none_kept(),
            follow_redirects=False,
            trust_env=encrypted,  # a proxy would see the key of a request that is not encrypted
        )
    except (ImportError, OSError, ValueError, httpx2.InvalidURL):
        # what they say may hold a proxy's password
        raise UsageError(
            "The proxy or the certificates that the environment names cannot be used; mend or "
            "unset HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE and SSL_CERT_DIR."
        ) from None


def _run(loop: asyncio.AbstractEventLoop) -> None:
    """Run a loop until it is stopped."""
    try:
        loop.run_forever()
    finally:
        loop.close()


def _stop(loop: asyncio.AbstractEventLoop, client: httpx2.AsyncClient, process: int) -> None:
    """End the loop's tasks and thread, from any thread and waiting for nothing."""

    async def end_tasks() -> None:
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def end() -> None:
        await end_tasks()
        await client.aclose()
        await loop.shutdown_asyncgens()
        await end_tasks()  # those that close httpx2's generators, which nobody read to their end
        loop.call_soon(loop.stop)

    if not loop.is_closed() and os.getpid() == process:
        asyncio.run_coroutine_threadsafe(end(), loop)
