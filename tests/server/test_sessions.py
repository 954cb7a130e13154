"""The session files, as the page uses them."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import pytest

from minireason import Reasoner
from minireason.conversation import transcript
from minireason.errors import UsageError
from minireason.server import server
from minireason.server.settings import ServerSettings
from minireason.testing import ScriptedBackend
from tests.server.serving import Served

Serve = Callable[..., Served]


def test_they_are_there_only_where_that_was_asked_for(served: Serve) -> None:
    with served().client() as client:
        assert client.get("/sessions").status_code == 404
        assert client.put("/sessions/a", json={"turns": []}).status_code == 404


def test_what_is_written_is_what_is_read(served: Serve) -> None:
    turns = [
        {"question": "1 + 1?", "thinking": "Easy.", "answer": "2"},
        {"question": "Sure?", "answer": "Yes."},
    ]
    with served(sessions=True).client() as client:
        assert client.get("/sessions").json() == {"sessions": []}
        body = {"title": "Sums", "model": "tiny", "turns": turns}
        assert client.put("/sessions/sums", json=body).status_code == 204
        told = client.get("/sessions/sums").json()
        assert told["title"] == "1 + 1?"
        assert [turn["answer"] for turn in told["turns"]] == ["2", "Yes."]
        assert told["turns"][0]["thinking"] == "Easy."
        assert told["turns"][0]["model"] == "tiny"
        (listed,) = client.get("/sessions").json()["sessions"]
        assert (listed["name"], listed["turns"]) == ("sums", 2)
        assert listed["updated"] == told["updated"]
        assert client.delete("/sessions/sums").status_code == 204
        assert client.get("/sessions/sums").status_code == 404
        assert client.delete("/sessions/sums").status_code == 404


def test_a_chat_in_the_terminal_goes_on_with_it_and_the_page_keeps_what_it_knows(
    served: Serve,
) -> None:
    with served(sessions=True).client() as client:
        turns = [{"question": "1 + 1?", "thinking": "", "answer": "2"}]
        client.put("/sessions/shared", json={"turns": turns})
        path = transcript.path_of("shared")
        chat = Reasoner(ScriptedBackend("3")).chat()
        assert chat.load(path) == ()
        chat.send("And one more?")
        refused = client.put("/sessions/shared", json={"turns": turns})
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "session_in_use")
        assert client.delete("/sessions/shared").status_code == 409
        chat.close()
        told = client.get("/sessions/shared").json()["turns"]
        assert [turn["answer"] for turn in told] == ["2", "3"]
        seed = told[1]["seed"]
        written = [{key: turn[key] for key in ("question", "thinking", "answer")} for turn in told]
        client.put("/sessions/shared", json={"turns": [*written, {"question": "Why?"}]})
        again = transcript.read(path).history
        assert again.turns[1].seed == seed, "what the page does not know of is kept"
        assert again.unanswered == "Why?"


@pytest.mark.parametrize(
    "name",
    ["../x", ".hidden", "a/b", "/etc/passwd", "x.jsonl", "a\0b", "~", "x" * 101, "a\\b"],
)
def test_no_name_leads_out_of_the_folder(served: Serve, name: str) -> None:
    with served(sessions=True).client() as client:
        for method in ("GET", "PUT", "DELETE"):
            path = f"/sessions/{quote(name, safe='')}"
            answer = client.request(method, path, json={"turns": []})
            assert answer.status_code in (400, 404, 405), answer.text
    folder = transcript.sessions_dir()
    assert not folder.exists() or not [one for one in folder.iterdir() if one.suffix == ".jsonl"]


def test_a_body_that_is_no_conversation(served: Serve) -> None:
    with served(sessions=True).client() as client:
        for body in ({}, {"turns": 5}, {"turns": [{"answer": "2"}]}, {"turns": [{"question": 1}]}):
            assert client.put("/sessions/x", json=body).status_code == 400


def test_they_are_not_shown_to_several_people() -> None:
    server.check(ServerSettings(sessions=True, api_keys=("one",)))
    with pytest.raises(UsageError, match="--sessions"):
        server.check(ServerSettings(sessions=True, api_keys=("one", "two")))
