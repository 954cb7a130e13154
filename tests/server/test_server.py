"""A server from its socket to its end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from minireason.errors import UsageError
from minireason.server import server
from minireason.server.settings import ServerSettings
from tests.server.plain import PATH, body
from tests.server.serving import Served, until
from tests.server.test_answering import Gate

Serve = Callable[..., Served]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "box.example"])
def test_beyond_loopback_it_needs_keys(host: str) -> None:
    with pytest.raises(UsageError, match="--api-key-file"):
        server.check(ServerSettings(host=host))
    server.check(ServerSettings(host=host, api_keys=("k",)))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_on_loopback_it_needs_none(host: str) -> None:
    server.check(ServerSettings(host=host))


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"Port {port} of 127.0.0.1") as raised:
            server.listen(ServerSettings(port=port))
    assert "--port" in str(raised.value)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "198.51.100.1", "x" * 300])
def test_an_address_that_is_not_ours(host: str) -> None:
    with pytest.raises(UsageError, match=r"host|Port"):
        server.listen(ServerSettings(host=host, port=0))


def test_a_free_port_and_where_it_is() -> None:
    with server.listen(ServerSettings(port=0)) as bound:
        port = bound.getsockname()[1]
        assert server.url_of(bound) == f"http://127.0.0.1:{port}/"


def test_nobody_is_answered_before_all_is_ready() -> None:
    with server.listen(ServerSettings(port=0)) as bound, pytest.raises(ConnectionError):
        socket.create_connection(bound.getsockname(), timeout=10).close()


def test_replies_may_end_after_it_is_told_to_stop(served: Serve) -> None:
    gate = Gate()
    one = served(gate.backend, stop_after_s=60)
    with ThreadPoolExecutor(1) as pool, one.client() as client:
        reply = pool.submit(client.post, PATH, json=body())
        until(lambda: gate.backend.running == 1)
        one.running.stop()
        until(lambda: one.state.stopping)
        gate.open.set()
        assert reply.result().json()["finish"] == ["stop"]
    one.wait()
    assert one.pool.loaded() == [], "its memory is free"


def test_after_a_while_replies_end_with_what_there_is(
    served: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "minireason.server")
    gate = Gate()
    one = served(gate.backend, stop_after_s=0.1)
    with ThreadPoolExecutor(1) as pool, one.client() as client:
        reply = pool.submit(client.post, PATH, json=body(stream=True))
        until(lambda: gate.backend.running == 1)
        one.running.stop()
        until(lambda: one.state.stopping)
        threading.Timer(0.5, gate.open.set).start()
        lines = reply.result().text.splitlines()
    assert lines[-2:] == ["0 done cancelled", "end"]
    one.wait()
    told = [line for line in caplog.messages if "replies" in line]
    assert told == [
        "stopping; replies that run: 1, for 0.1 s at most; a second signal ends them",
        "ending replies where they are: 1",
    ]


def test_who_waits_is_sent_away_at_once(served: Serve) -> None:
    gate = Gate(max_parallel=1)
    one = served(gate.backend, stop_after_s=60)
    with ThreadPoolExecutor(2) as pool, one.client() as client, one.client() as other:
        first = pool.submit(client.post, PATH, json=body())
        until(lambda: gate.backend.running == 1)
        second = pool.submit(other.post, PATH, json=body())
        until(lambda: b'waiting{model="scripted"} 1.0' in one.state.metrics.text()[0])
        one.running.stop()
        assert second.result().status_code == 503
        gate.open.set()
        assert first.result().status_code == 200
    one.wait()


def test_asked_twice_it_ends_replies_at_once(served: Serve) -> None:
    gate = Gate()
    one = served(gate.backend, stop_after_s=3600)
    gate.open.set()
    with one.client() as client:
        assert client.post(PATH, json=body()).status_code == 200
    one.running.stop()
    one.running.stop()
    one.wait()
