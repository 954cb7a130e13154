"""Who may use the server: hosts that it is called by, pages of other sites, keys.

- **Host.** A page of a stranger's whose name is made to lead to this machine (DNS rebinding) still
  calls it by its own name. So the server answers to the names of loopback, to its own, and to those
  it was told; to addresses of this machine only where it listens beyond loopback.
- **Origin.** A browser says from which site a request comes. Requests of other sites are refused
  unless they are among `cors_origins`; opening a page of the server by a link is none of theirs.
- **Key.** Compared in constant time with all keys, so that time tells nothing of them.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from minireason.server.settings import ServerSettings
from minireason.wire.errors import ApiError

ANY_ORIGIN = "*"
_METHODS = "GET, HEAD, POST, PUT, DELETE, OPTIONS"
_PREFLIGHT_S = 600
_HOST = re.compile(r"(?:\[(?P<address>[^\[\]]*)\]|(?P<name>[^\[\]:]*))(?::[0-9]*)?")
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,99}")


class Access:
    """What `ServerSettings` say of who may use the server."""

    def __init__(self, settings: ServerSettings) -> None:
        own = [settings.host, *settings.allow_hosts, "localhost"]
        self._names = {host_name(name) for name in own} - {""}
        self._addresses = not is_loopback(settings.host)
        self._origins = {origin.rstrip("/").lower() for origin in settings.cors_origins}
        self._keys = [_digest(key) for key in settings.api_keys]

    def check_host(self, headers: Headers) -> None:
        """Raise ApiError 403 for a request that calls the server by a stranger's name."""
        named = [host_name(value) for value in headers.getlist("host")]
        if not named or not all(map(self._is_ours, named)):
            raise ApiError(403, self._not_ours(named), "host_not_allowed")

    def _not_ours(self, named: list[str]) -> str:
        name = named[0] if len(named) == 1 and _NAME.fullmatch(named[0]) else "NAME"
        called = "by that Host" if name == "NAME" else name
        other = "its IP address" if self._addresses else "localhost"
        return (
            f"This server is not called {called}; call it {other}, or start it with --allow-host "
            f"{name}."
        )

    def _is_ours(self, name: str) -> bool:
        if name in self._names:
            return True
        try:
            address = ip_address(name)
        except ValueError:
            return False
        return self._addresses or address.is_loopback

    def check_origin(self, method: str, headers: Headers) -> None:
        """Raise ApiError 403 for a request that a page of another site makes."""
        origin = headers.get("origin")
        if origin is not None:
            if _place(origin) == headers.get("host", "").lower() or self.allows(origin):
                return
        elif headers.get("sec-fetch-site") != "cross-site" or _opens_a_page(method, headers):
            return
        raise ApiError(
            403,
            "A page of another site may not use this server; to let it, start the server with "
            "--cors-origin ORIGIN.",
            "origin_not_allowed",
        )

    def allows(self, origin: str) -> bool:
        """Whether pages of an origin may use the server."""
        return ANY_ORIGIN in self._origins or origin.lower() in self._origins

    def cors(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        """What lets a browser hand a response to a page of an allowed origin."""
        origin = headers.get("origin")
        if origin is None or not self.allows(origin):
            return []
        return [
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-expose-headers", b"x-request-id, retry-after"),
            (b"vary", b"Origin"),
        ]

    def owner(self, headers: Headers) -> str:
        """Whose key a request brings: "key1" for the first one, "" where none is needed.

        Raises ApiError 401.
        """
        if not self._keys:
            return ""
        offered = [_digest(key) for key in _offered(headers)]
        matches = [
            number
            for number, key in enumerate(self._keys, 1)
            for other in offered
            if hmac.compare_digest(key, other)
        ]
        if matches:
            return f"key{matches[0]}"
        problem = "This server needs an API key; send it as Authorization: Bearer KEY."
        if offered:
            problem = "That is not an API key of this server; ask who runs it for one."
        raise ApiError(401, problem, "invalid_api_key")


def preflight_headers(headers: Headers) -> list[tuple[bytes, bytes]]:
    """What a browser is told that asks whether a page may send a request."""
    allowed = [
        (b"access-control-allow-methods", _METHODS.encode()),
        (b"access-control-max-age", str(_PREFLIGHT_S).encode()),
    ]
    if wanted := headers.get("access-control-request-headers"):
        allowed.append((b"access-control-allow-headers", wanted.encode("latin-1")))
    if headers.get("access-control-request-private-network"):
        allowed.append((b"access-control-allow-private-network", b"true"))
    return allowed


def is_preflight(method: str, headers: Headers) -> bool:
    """Whether a browser asks before a page's request."""
    asks = "origin" in headers and "access-control-request-method" in headers
    return method == "OPTIONS" and asks


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on a host."""
    name = host_name(host)
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def host_name(value: str) -> str:
    """The name of a Host header, without its port; of an IPv6 address without brackets.

    "" for what no client makes of a URL, such as text behind the brackets.
    """
    name = value.strip().lower()
    if name.count(":") > 1 and not name.startswith("["):
        return name  # a bare IPv6 address, as --host and some clients write it
    parts = _HOST.fullmatch(name)
    return (parts["address"] or parts["name"] or "").rstrip(".") if parts else ""


def _place(origin: str) -> str | None:
    """The host and port of an origin; None where it is no address."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _opens_a_page(method: str, headers: Headers) -> bool:
    """Whether somebody follows a link, which brings the other site nothing."""
    return method == "GET" and headers.get("sec-fetch-dest") == "document"


def _offered(headers: Headers) -> Iterator[str]:
    """The keys that a request brings."""
    for value in headers.getlist("authorization"):
        scheme, _, key = value.partition(" ")
        if scheme.lower() == "bearer" and key.strip():
            yield key.strip()
    yield from headers.getlist("x-api-key")


def _digest(key: str) -> bytes:
    """All of one length, which the time of a comparison would tell."""
    return hashlib.sha256(key.encode()).digest()
