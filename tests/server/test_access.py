from __future__ import annotations

from typing import Any

import pytest
from starlette.datastructures import Headers

from minireason.server.access import Access, host_name, is_loopback
from minireason.server.settings import ServerSettings
from minireason.wire.errors import ApiError


def access(**settings: Any) -> Access:
    return Access(ServerSettings(**settings))


def status(check: Any, *arguments: Any) -> int:
    try:
        check(*arguments)
    except ApiError as error:
        return error.status if error.message.endswith(".") else 0
    return 200


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("localhost:8181", "localhost"),
        ("LocalHost", "localhost"),
        ("localhost.", "localhost"),
        ("[::1]:8181", "::1"),
        ("[::1]", "::1"),
        ("127.0.0.1:80", "127.0.0.1"),
        ("a.example:1:2", "a.example:1:2"),
        ("::1", "::1"),
        ("[::1]evil.example", ""),
        ("[localhost", ""),
        ("localhost:evil.example", ""),
    ],
)
def test_the_name_in_a_host(host: str, name: str) -> None:
    assert host_name(host) == name


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "box", "localhost.evil.example"])
def test_beyond_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost:8181", 200),
        ("127.0.0.1:8181", 200),
        ("[::1]:8181", 200),
        ("box.local", 200),
        ("BOX.local:80", 200),
        ("evil.example", 403),
        ("evil.example:8181", 403),
        ("[::1]evil.example", 403),
        ("[localhost", 403),
        ("localhost:evil.example", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("127.0.0.1@evil.example", 403),
        ("192.168.1.2:8181", 403),
        ("", 403),
    ],
)
def test_hosts_on_loopback(host: str, expected: int) -> None:
    headers = Headers({"host": host})
    assert status(access(allow_hosts=("box.local",)).check_host, headers) == expected


@pytest.mark.parametrize(
    ("settings", "host", "said"),
    [
        ({}, "box.local:8181", "not called box.local; call it localhost, or .*-host box.local."),
        ({"host": "0.0.0.0"}, "box", "not called box; call it its IP address, or .*-host box."),
        ({}, "<b>", "not called by that Host; .*--allow-host NAME."),
        ({}, "", "not called by that Host; .*--allow-host NAME."),
    ],
)
def test_a_stranger_is_told_what_would_do(settings: Any, host: str, said: str) -> None:
    with pytest.raises(ApiError, match=f"{said}$"):
        access(**settings).check_host(Headers({"host": host}))


def test_a_request_without_host_or_with_two_is_refused() -> None:
    assert status(access().check_host, Headers({})) == 403
    two = Headers(raw=[(b"host", b"localhost"), (b"host", b"evil.example")])
    assert status(access().check_host, two) == 403


def test_beyond_loopback_any_address_may_be_called() -> None:
    open_to_all = access(host="0.0.0.0", api_keys=("k",))
    assert status(open_to_all.check_host, Headers({"host": "192.168.1.2:8181"})) == 200
    assert status(open_to_all.check_host, Headers({"host": "evil.example"})) == 403


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 200),
        ({"origin": "http://localhost:8181"}, 200),
        ({"origin": "http://LOCALHOST:8181"}, 200),
        ({"origin": "http://localhost:3000"}, 403),
        ({"origin": "http://127.0.0.1:8181"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"origin": "https://app.example"}, 200),
        ({"origin": "app://notes"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-dest": "image"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-dest": "document"}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
    ],
)
def test_origins(headers: dict[str, str], expected: int) -> None:
    ours = access(cors_origins=("https://app.example/", "app://notes"))
    sent = Headers({"host": "localhost:8181", **headers})
    assert status(ours.check_origin, "GET", sent) == expected


def test_a_form_of_another_site_is_refused_though_it_opens_a_page() -> None:
    sent = Headers({"host": "localhost", "sec-fetch-site": "cross-site"})
    assert status(access().check_origin, "POST", sent) == 403


def test_any_origin() -> None:
    sent = Headers({"host": "localhost", "origin": "https://any.example"})
    assert status(access(cors_origins=("*",)).check_origin, "POST", sent) == 200
    assert (b"access-control-allow-origin", b"https://any.example") in access(
        cors_origins=("*",)
    ).cors(sent)


@pytest.mark.parametrize(
    ("headers", "owner"),
    [
        ({"authorization": "Bearer first"}, "key1"),
        ({"authorization": "bearer second"}, "key2"),
        ({"x-api-key": "second"}, "key2"),
        ({"authorization": "Bearer wrong", "x-api-key": "first"}, "key1"),
        ({"authorization": "Bearer wrong"}, None),
        ({"authorization": "Basic first"}, None),
        ({"authorization": "Bearer "}, None),
        ({"authorization": "Bearer firs"}, None),
        ({"x-api-key": ""}, None),
        ({"x-api-key": "schlüssel"}, None),
        ({}, None),
    ],
)
def test_keys(headers: dict[str, str], owner: str | None) -> None:
    ours = access(api_keys=("first", "second"))
    if owner is None:
        assert status(ours.owner, Headers(headers)) == 401
    else:
        assert ours.owner(Headers(headers)) == owner


def test_without_keys_nobody_needs_one() -> None:
    assert access().owner(Headers({"authorization": "Bearer anything"})) == ""
