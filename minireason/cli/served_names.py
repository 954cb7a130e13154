"""Names of servers and of their models, for the shell's completion: quick, or none at all."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import urlsplit

import typer

from minireason.cli.completion import complete_model
from minireason.errors import MinireasonError

QUICK_S = 1.0
"""Seconds until a host has a number, and again until it has told its models."""

_TYPED = re.compile(r"[0-9A-Za-z][\w./:@+-]*", re.ASCII)
"""What no shell takes apart: a stranger's server is not to put a command on the user's line."""


def complete_server(start: str) -> Iterator[str]:
    """Names of servers in remotes.toml."""
    from minireason.backends.remote import named

    with suppress(MinireasonError, OSError):
        yield from _typed(named.names(), start)


def complete_asked(context: typer.Context, start: str) -> Iterator[str]:
    """Names of models: of the server where --url stands before, else of those here.

    A server is asked where its URL is this machine's, or where the user has named it.
    """
    url = context.params.get("url")
    if not url:
        yield from complete_model(start)
        return
    with suppress(MinireasonError, OSError):
        yield from _typed(_of_server(url, context.params.get("api_key_file")), start)


def _typed(names: Sequence[str], start: str) -> Iterator[str]:
    return (name for name in names if name.startswith(start) and _TYPED.fullmatch(name))


def _of_server(url: str, key_file: str | None) -> Sequence[str]:
    """The models of a server, none where it is none to ask or not quick enough."""
    from minireason.backends.remote import named
    from minireason.backends.remote.asking import list_models
    from minireason.backends.remote.connection import Connection

    place = named.find(url, key_file).place
    host = urlsplit(place.base).hostname or ""
    may_ask = _is_here(host) or ("://" not in url and _is_known(host))
    if not may_ask:
        return ()
    connection = Connection(place)
    watch = threading.Timer(QUICK_S, connection.close)
    watch.start()
    try:
        return list_models(connection)
    finally:
        watch.cancel()
        connection.close()


def _is_here(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_known(host: str) -> bool:
    """Whether a host's number is found quickly; a resolver that hangs is left behind."""
    known = threading.Event()

    def look() -> None:
        with suppress(OSError):
            socket.getaddrinfo(host, None)
            known.set()

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    looking.join(QUICK_S)
    return known.is_set()
