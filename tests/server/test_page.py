"""The page as it is served: what is in it, and the headers around it."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import anyio
import pytest

pytest.importorskip("starlette", reason="starlette is not installed (extra `server`)")

from starlette.applications import Starlette

from minireason.server.page import FOLDER, MEDIA_TYPES, page_files, routes
from minireason.settings import EFFORT_TOKENS

APP = Starlette(routes=list(routes()))
OWN = [path for path in FOLDER.iterdir() if path.is_file()]
VENDOR = FOLDER / "vendor"
PACKAGES = json.loads((VENDOR / "vendor.json").read_text("utf-8"))["packages"]


def get(path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer."""
    status, answer, body = 0, {}, b""

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, object]) -> None:
        nonlocal status, answer, body
        if message["type"] == "http.response.start":
            status = int(str(message["status"]))
            pairs = message["headers"]
            assert isinstance(pairs, list)
            answer = {name.decode(): value.decode() for name, value in pairs}
        else:
            part = message.get("body", b"")
            assert isinstance(part, bytes)
            body += part

    async def call() -> None:
        names = [
            (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
        ]
        scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode()}
        scope |= {"query_string": b"", "headers": names, "root_path": ""}
        await APP(scope, receive, send)

    anyio.run(call)
    return status, answer, body


def test_the_page_is_at_the_root() -> None:
    status, headers, body = get("/")
    assert status == 200
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert b"<title>minireason</title>" in body


@pytest.mark.parametrize("path", ["/", "/assets/app.js", "/assets/nothing"])
def test_strangers_are_kept_out(path: str) -> None:
    _, headers, _ = get(path)
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("name", sorted(page_files()))
def test_every_file_is_served_as_what_it_is(name: str) -> None:
    status, headers, body = get(f"/assets/{name}")
    assert status == 200
    assert body == (FOLDER / name).read_bytes()
    kind = MEDIA_TYPES.get(Path(name).suffix, "text/plain; charset=utf-8")
    assert headers["content-type"] == kind
    assert headers["cache-control"] == "no-cache"


def test_a_file_that_is_known_is_not_sent_again() -> None:
    _, headers, _ = get("/assets/app.js")
    etag = headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        status, again, body = get("/assets/app.js", if_none_match=known)
        assert (status, body) == (304, b"")
        assert again["etag"] == etag
    assert get("/assets/app.js", if_none_match='"other"')[0] == 200


@pytest.mark.parametrize(
    "path", ["../page.py", "..%2fpage.py", "%2e%2e/page.py", "/etc/passwd", "", "vendor", "\x00"]
)
def test_nothing_else_is_served(path: str) -> None:
    assert get(f"/assets/{path}")[0] == 404


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_the_page_takes_nothing_from_elsewhere(path: Path) -> None:
    text = path.read_text("utf-8")
    addresses = re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", text)
    assert [address for address in addresses if "www.w3.org" not in address] == []


def test_the_page_has_nothing_inline() -> None:
    html = (FOLDER / "index.html").read_text("utf-8")
    assert not re.search(r"\s(?:on[a-z]+|style)=", html)
    assert re.findall(r"<script[^>]*>([^<]*)</script>", html) == [""] * html.count("<script")


def test_every_file_that_the_page_names_is_there() -> None:
    html = (FOLDER / "index.html").read_text("utf-8")
    named = re.findall(r'(?:src|href)="assets/([^"]+)"', html)
    for path in FOLDER.glob("*.js"):
        named += re.findall(r'from "\./([^"]+)"', path.read_text("utf-8"))
    css = (VENDOR / "katex" / "katex.min.css").read_text("utf-8")
    named += [f"vendor/katex/{font}" for font in re.findall(r"url\((fonts/[^)]+\.woff2)\)", css)]
    assert set(named) <= page_files().keys()
    own = {path.name for path in OWN if path.suffix in (".js", ".css")}
    assert own <= set(named)


def test_every_element_that_a_script_asks_for_is_there() -> None:
    html = (FOLDER / "index.html").read_text("utf-8")
    ids = set(re.findall(r'\bid="([^"]+)"', html))
    for path in FOLDER.glob("*.js"):
        asked = set(re.findall(r'byId\("([^"]+)"\)', path.read_text("utf-8")))
        assert asked <= ids, path.name


def test_the_efforts_are_those_of_the_settings() -> None:
    html = (FOLDER / "index.html").read_text("utf-8")
    select = html.split('<select id="effort">')[1].split("</select>")[0]
    values = re.findall(r'value="([^"]+)"', select)
    assert values == [*EFFORT_TOKENS, "budget"]


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_a_file_of_the_page_is_short_enough_to_read(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    assert len(lines) <= 300
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: str(package["name"]))
def test_a_library_is_what_npm_gave(package: dict[str, object]) -> None:
    folder = VENDOR / str(package["folder"])
    files = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert files == package["sha256_of_files"]
    assert "LICENSE" in files


def test_every_library_is_listed() -> None:
    folders = {path.name for path in VENDOR.iterdir() if path.is_dir()}
    assert folders == {package["folder"] for package in PACKAGES}
