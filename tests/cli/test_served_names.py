"""What the shell completes of servers, through the program itself."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from minireason.backends.remote import asking
from minireason.cli import served_names
from tests.backends.remote.misbehaving import Answer, Misbehaving, Stall, models, page
from tests.cli.run import minireason

HOSTILE = ("$(reboot)", "a;b", "x y", "-rf", "\x1b[2J", "two\nthree")


@pytest.fixture
def server() -> Iterator[Misbehaving]:
    pages = {"/v1/models": models("one", "org/two:Q4", *HOSTILE)}
    made = Misbehaving(pages=pages)
    yield made
    made.stop()


def offered(line: str, **environment: str) -> list[str]:
    """What is completed at the end of a line."""
    words = line.split(" ")
    asked = {
        "_MINIREASON_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    done = minireason(env=asked | environment)
    assert (done.code, done.err) == (0, "")
    return done.out.split()


def write(text: str) -> None:
    """Write remotes.toml."""
    (Path(os.environ["MINIREASON_HOME"]) / "remotes.toml").write_text(text)


def test_names_of_servers(server: Misbehaving) -> None:
    assert offered("minireason ask --url ") == []
    write(f'[gpu]\nurl = "{server.url}"\n[gone]\nurl = "x"\n["$(reboot)"]\nurl = "x"\n')
    assert offered("minireason ask --url ") == ["gpu", "gone"]
    assert offered("minireason eval --url gp") == ["gpu"]
    assert offered("minireason doctor --url gp") == ["gpu"]
    write("no TOML")
    assert offered("minireason ask --url ") == []
    assert server.paths == []


def test_models_of_a_server(server: Misbehaving) -> None:
    url = server.url
    assert offered(f"minireason ask --url {url} --model ") == ["one", "org/two:Q4"]
    assert offered(f"minireason chat --url {url} -m or") == ["org/two:Q4"]
    write(f'[gpu]\nurl = "{url}"\napi_key_env = "GPU_KEY"\n')
    assert offered("minireason ask --url gpu --model o", GPU_KEY="sk-1") == ["one", "org/two:Q4"]
    assert server.keys[-1] == "Bearer sk-1"
    asked = len(server.paths)
    assert offered("minireason ask --url gpu --model o") == [], "its key is not there"
    assert "r1-7b" in offered("minireason ask --model r1-")
    assert len(server.paths) == asked


@pytest.mark.parametrize(
    "answer",
    [page({"data": "none"}), Answer(status=302, headers={"Location": "/v2"}), Answer([Stall()])],
    ids=["no list", "redirected", "silent"],
)
def test_a_server_that_does_not_tell(server: Misbehaving, answer: Answer) -> None:
    server.pages["/v1/models"] = answer
    assert offered(f"minireason ask --url {server.url} --model ") == []


@pytest.mark.parametrize(
    "url", ["nowhere", "http://", "http://a@127.0.0.1/v1", "http://[::1]:1/v1"]
)
def test_what_is_no_server(url: str) -> None:
    assert offered(f"minireason ask --url {url} --model ") == []


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("http://example.invalid/v1", False),
        ("https://192.0.2.1/v1", False),
        ("http://localhost.example/v1", False),
        ("http://localhost:9/v1", True),
        ("http://127.8.8.8:9/v1", True),
        ("by-number", True),
        ("by-name", False),
    ],
)
def test_only_this_machine_and_named_servers_are_asked(
    monkeypatch: pytest.MonkeyPatch, url: str, asked: bool
) -> None:
    """And one whose host is not found in time is not."""
    by_name = "http://example.invalid/v1"
    write(f'[by-number]\nurl = "http://192.0.2.1/v1"\n[by-name]\nurl = "{by_name}"\n')
    looked_up: list[str] = []

    def look_up(host: str, _port: None) -> None:
        looked_up.append(host)
        if host == "example.invalid":
            threading.Event().wait()

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(asking, "list_models", lambda _connection: ("one",))
    monkeypatch.setattr(served_names, "QUICK_S", 0.05)
    context: Any = SimpleNamespace(params={"url": url})
    assert list(served_names.complete_asked(context, "")) == (["one"] if asked else [])
    assert bool(looked_up) is ("://" not in url), "no name is looked up but of a named server"
