"""What every request passes first, on a real server."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable

import pytest

from minireason.testing import ScriptedBackend
from tests.server.plain import PATH, body
from tests.server.serving import Served, read_to_end, reply_on, request, until

Serve = Callable[..., Served]


def test_every_response_has_the_id_of_its_request(served: Serve) -> None:
    with served().client() as client:
        ids = [client.get(path).headers["x-request-id"] for path in ("/health", "/nowhere")]
        assert len(set(ids)) == 2
        own = client.get("/health", headers={"x-request-id": "job-7.a"})
        assert own.headers["x-request-id"] == "job-7.a"
        for bad in ("a b", "x" * 65, "a\tb", "<script>"):
            other = client.get("/health", headers={"x-request-id": bad})
            assert other.headers["x-request-id"].startswith("req_")


def test_what_is_not_there_is_told_in_the_apis_shape(served: Serve) -> None:
    with served().client() as client:
        missing = client.get("/v1/nothing")
        assert missing.status_code == 404
        assert missing.json()["error"]["code"] == "not_found"
        assert "/v1/nothing" in missing.json()["error"]["message"]
        wrong = client.delete("/health")
        assert wrong.status_code == 405
        assert "GET" in wrong.headers["allow"]
        assert "DELETE" in wrong.json()["error"]["message"]


def test_a_strangers_name_for_this_machine_is_refused(served: Serve) -> None:
    """DNS rebinding: the page is of evil.example, which leads to 127.0.0.1 by now."""
    one = served(allow_hosts=("box.local",))
    with one.client() as client:
        refused = client.get("/health", headers={"Host": f"evil.example:{one.port}"})
        assert refused.status_code == 403
        assert refused.json()["error"]["code"] == "host_not_allowed"
        assert client.get("/health", headers={"Host": "box.local"}).status_code == 200


def test_pages_of_other_sites_are_refused(served: Serve) -> None:
    one = served()
    with one.client() as client:
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            refused = client.post(PATH, json=body(), headers=headers)
            assert refused.status_code == 403
            assert "access-control-allow-origin" not in refused.headers
        own = client.post(PATH, json=body(), headers={"Origin": one.url.rstrip("/")})
        assert own.status_code == 200
        preflight = client.options(
            PATH,
            headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
        )
        assert preflight.status_code == 403


def test_cors_is_for_those_who_were_named(served: Serve) -> None:
    one = served(cors_origins=("https://app.example",), api_keys=("secret",))
    origin = {"Origin": "https://app.example"}
    with one.client() as client:
        asked = {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        preflight = client.options(PATH, headers={**origin, **asked})
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == "https://app.example"
        assert preflight.headers["access-control-allow-headers"] == "authorization,content-type"
        assert "POST" in preflight.headers["access-control-allow-methods"]
        for key, status in (("secret", 200), ("wrong", 401)):
            answer = client.post(
                PATH, json=body(), headers={**origin, "Authorization": f"Bearer {key}"}
            )
            assert answer.status_code == status, "a page can read why it was refused, too"
            assert answer.headers["access-control-allow-origin"] == "https://app.example"
            assert "x-request-id" in answer.headers["access-control-expose-headers"]


def test_keys(served: Serve) -> None:
    with served(api_keys=("one", "two")).client() as client:
        assert client.get("/health").json() == {"status": "ok"}, "no models without a key"
        for path in ("/metrics", "/v1/nothing"):
            refused = client.get(path)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == "Bearer"
        assert client.get("/metrics", headers={"x-api-key": "two"}).status_code == 200
        assert client.get("/metrics", headers={"Authorization": "Bearer no"}).status_code == 401


def test_a_body_that_says_it_is_too_large_is_refused_at_once(served: Serve) -> None:
    one = served(max_body_bytes=1000)
    with one.connect() as own:
        own.sendall(request(PATH, Content_Length="100000000", X_Any="1").replace(b"GET", b"POST"))
        assert reply_on(own)[0] == 413
    with one.client() as client:
        assert client.post(PATH, content=b"x" * 1001).status_code == 413
        assert client.post(PATH, content=json.dumps(body()).encode()).status_code == 200


def test_a_body_that_does_not_say_how_large_it_is_is_counted(served: Serve) -> None:
    one = served(max_body_bytes=100_000)
    chunk = b"%x\r\n%b\r\n" % (60_000, b"x" * 60_000)
    head = request(PATH).replace(b"GET", b"POST")
    head = head.replace(b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n")
    with one.connect() as own:
        own.sendall(head + chunk + chunk)
        status, answer = reply_on(own)
    assert status == 413
    assert b"body_too_large" in answer


def test_100_mb_of_body_harm_nobody(served: Serve) -> None:
    one = served()
    with one.connect() as own, one.client() as client:
        own.sendall(request(PATH, Content_Length=str(10**8)).replace(b"GET", b"POST"))
        sent = 0
        try:
            while sent < 10**8:
                own.sendall(b" " * 2**20)
                sent += 2**20
                if sent % (10 * 2**20) == 0:
                    assert client.get("/health").status_code == 200
        except ConnectionError:
            pass  # it may stop listening to what it refused
        assert client.post(PATH, json=body()).status_code == 200


def test_a_body_that_comes_too_slowly(served: Serve) -> None:
    one = served(read_timeout_s=0.3)
    head = request(PATH, Content_Length="100").replace(b"GET", b"POST")
    with one.connect() as own, one.client() as client:
        own.sendall(head + b"{")
        answer = read_to_end(own)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"body_too_slow" in answer
        assert client.post(PATH, json=body()).status_code == 200


@pytest.mark.parametrize("stream", [True, False])
def test_the_log_has_a_line_for_each_request_and_no_prompt(
    served: Serve, caplog: pytest.LogCaptureFixture, stream: bool
) -> None:
    one = served(api_keys=("secret",))
    with caplog.at_level(logging.INFO, "minireason.server"), one.client() as client:
        headers = {"x-request-id": "abc", "Authorization": "Bearer secret"}
        asked = client.post(
            f"{PATH}?q=%0A1", json=body("tell nobody", stream=stream), headers=headers
        )
        assert asked.status_code == 200
        until(lambda: "abc" in caplog.text)
    line = next(message for message in caplog.messages if "abc" in message)
    assert line.startswith(f"POST {PATH} 200 ")
    assert line.endswith(" abc key1")
    assert "tell nobody" not in caplog.text
    assert "secret" not in caplog.text


def test_prompts_are_in_the_log_where_that_is_asked_for(
    served: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    one = served(log_prompts=True)
    with caplog.at_level(logging.INFO, "minireason.server"), one.client() as client:
        client.post(PATH, json=body("tell everybody"))
        until(lambda: "tell everybody" in caplog.text and "It is 2." in caplog.text)


def test_bytes_that_are_no_http_harm_nobody(served: Serve) -> None:
    one = served()
    for noise in (
        b"\x16\x03\x01\x02\x00\x01",
        b"GET\r\n\r\n",
        b"\0" * 100,
        b"GET / HTTP/9\r\n\r\n",
    ):
        answer = one.raw(noise + b"\r\n\r\n")
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
    assert one.raw(b"GET /health HTTP/1.1\r\nA: " + b"x" * 200_000).startswith(b"HTTP/1.1 4")
    with one.client() as client:
        assert client.get("/health").status_code == 200


def test_who_goes_away_in_the_middle_of_a_body_is_noted(
    served: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    one = served()
    with caplog.at_level(logging.INFO, "minireason.server"):
        with one.connect() as own:
            own.sendall(request(PATH, b"{", Content_Length="100"))
        until(lambda: f"POST {PATH} 499" in caplog.text)
    assert "failed" not in caplog.text


def test_a_server_that_stops_lets_nobody_in(served: Serve) -> None:
    one = served()
    with one.client() as client:
        assert client.get("/health").status_code == 200
        one.state.stop()
        refused = client.get("/health")
        assert refused.status_code == 503
        assert refused.headers["retry-after"]


def test_several_requests_on_one_connection(served: Serve) -> None:
    one = served()
    with one.connect() as own:
        own.sendall(request("/health") * 3 + request("/health", Connection="close"))
        answer = read_to_end(own)
    assert answer.count(b"HTTP/1.1 200 OK") == 4


def test_errors_of_the_server_tell_nothing_of_themselves(
    served: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    one = served(ScriptedBackend("It is 2."))
    with one.client() as client:
        failed = client.post(PATH, content=b"no json")  # the plain API does not check
        assert failed.status_code == 500
        assert failed.headers["x-request-id"] in caplog.text
        assert failed.json()["error"]["code"] == "internal_error"
        assert "JSON" not in failed.text


def test_a_socket_of_ipv6_is_called_by_its_address(served: Serve) -> None:
    if not socket.has_ipv6:
        pytest.skip("there is no IPv6 here")
    try:
        one = served(host="::1")
    except Exception as error:  # no loopback of IPv6, as in some containers
        pytest.skip(str(error))
    with one.client() as client:
        assert client.get("/health").status_code == 200
