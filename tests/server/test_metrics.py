from __future__ import annotations

from collections.abc import Callable

from minireason.testing import ScriptedBackend, ScriptedReply
from tests.server.plain import PATH, body
from tests.server.serving import Served


def read(one: Served) -> dict[str, float]:
    with one.client() as client:
        answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    rows = (row.rsplit(" ", 1) for row in answer.text.splitlines() if not row.startswith("#"))
    return {name: float(value) for name, value in rows}


def test_what_is_counted(served: Callable[..., Served]) -> None:
    backend = ScriptedBackend(ScriptedReply(thinking="1 and 1.", answer="It is 2."), max_parallel=5)
    one = served(backend)
    with one.client() as client:
        for stream in (True, False):
            client.post(PATH, json=body("1 + 1?", stream=stream))
        client.get("/no/such/path/of/a/stranger")
        client.post(PATH, json=body(model="no-such-model"))
    seen = read(one)
    assert seen[f'minireason_requests_total{{api="{PATH}",status="200"}}'] == 2
    assert seen[f'minireason_requests_total{{api="{PATH}",status="404"}}'] == 1
    assert seen['minireason_requests_total{api="other",status="404"}'] == 1
    assert seen['minireason_tokens_total{kind="prompt",model="scripted"}'] == 8
    assert seen['minireason_tokens_total{kind="thinking",model="scripted"}'] == 6
    assert seen['minireason_tokens_total{kind="answer",model="scripted"}'] == 6
    assert seen['minireason_tokens_total{kind="forced",model="scripted"}'] == 0
    assert seen['minireason_thinking_ends_total{end="natural",model="scripted"}'] == 2
    assert seen['minireason_replies_total{finish="stop",model="scripted"}'] == 2
    assert seen['minireason_time_to_first_token_seconds_count{model="scripted"}'] == 2
    assert seen[f'minireason_request_seconds_count{{api="{PATH}"}}'] == 3
    assert seen['minireason_slots{model="scripted"}'] == 5
    assert seen['minireason_slots_in_use{model="scripted"}'] == 0
    assert seen['minireason_model_loaded{model="scripted"}'] == 1
    assert not any("stranger" in name or "no-such" in name for name in seen), (
        "no names from outside"
    )


def test_votes_are_counted_as_chains(served: Callable[..., Served]) -> None:
    one = served(ScriptedBackend("It is \\boxed{2}."))
    with one.client() as client:
        client.post(PATH, json=body(vote={"samples": 3, "stop": "none"}, stream=True))
    seen = read(one)
    assert seen['minireason_replies_total{finish="stop",model="scripted"}'] == 3
    assert seen['minireason_tokens_total{kind="vote",model="scripted"}'] == 9


def test_cache_hits(server: Served) -> None:
    name = 'minireason_cache_hits_total{model="tiny"}'
    asked = body("What is 7 + 8? What is it? What is it?")
    with server.client() as client:
        client.post(PATH, json=asked)
        before = read(server).get(name, 0)
        client.post(PATH, json=asked)
    assert read(server)[name] == before + 1


def test_health_names_the_models_in_memory(server: Served) -> None:
    with server.client() as client:
        assert client.get("/health").json() == {"status": "ok", "models": ["tiny"]}
