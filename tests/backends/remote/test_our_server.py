"""What is particular to our own server; `tests/backends/contract/` has what all have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import minireason
from minireason import (
    AsyncReasoner,
    BadSetting,
    Reasoner,
    ServerError,
)
from minireason.backends.base import StreamOptions
from minireason.settings import Settings
from minireason.testing import ScriptedBackend, ScriptedReply
from tests.server.serving import Served

QUESTION = "What is 12 + 5?"
Connect = Callable[..., Reasoner]
Serve = Callable[..., Served]


@pytest.fixture
def tiny(tiny_url: str, connected: Connect) -> Reasoner:
    return connected(f"{tiny_url}/v1")


def test_it_knows_what_the_server_has(tiny: Reasoner) -> None:
    assert (tiny.name, tiny.thinks, tiny.n_ctx) == ("tiny", True, 4096)
    assert tiny.backend.bare_questions
    assert tiny.prefill([{"role": "user", "content": "Hello"}]) == 0
    with pytest.raises(minireason.UsageError, match="no plan"):
        _ = tiny.plan


def test_a_stop_text_ends_the_answer(served: Serve, connected: Connect) -> None:
    backend = ScriptedBackend(ScriptedReply(thinking="stop here", answer="one two stop three"))
    reply = connected(f"{served(backend).url}v1").ask("?", stop=["stop"])
    assert (reply.thinking, reply.answer, reply.stop_text) == ("stop here", "one two", "stop")


def test_a_reply_that_is_begun_goes_on(served: Serve, connected: Connect) -> None:
    backend = ScriptedBackend(ScriptedReply(thinking="a b", answer="three"))
    reasoner = connected(f"{served(backend).url}v1")
    begun = [
        {"role": "user", "content": "Count."},
        {"role": "assistant", "content": "one two", "thinking": "well"},
    ]
    assert reasoner.ask(begun).answer == "three"  # type: ignore[arg-type]
    assert backend.requests[-1].messages[-1] == begun[-1]


def test_settings_arrive(served: Serve, connected: Connect) -> None:
    backend = ScriptedBackend("Yes.")
    reasoner = connected(f"{served(backend).url}v1")
    reply = reasoner.ask("?", temperature=0.3, top_p=0.5, top_k=7, seed=5, max_tokens=99)
    asked = backend.requests[-1].settings
    assert (asked.temperature, asked.top_p, asked.top_k) == (0.3, 0.5, 7)
    assert (asked.seed, asked.max_tokens, reply.seed) == (5, 99, 5)


def test_a_conversation_goes_on(served: Serve, connected: Connect) -> None:
    backend = ScriptedBackend(["Hello Ada.", "Ada."])
    chat = connected(f"{served(backend).url}v1").chat(system="Be kind.")
    for question, answer in (("I am Ada.", "Hello Ada."), ("Who am I?", "Ada.")):
        turn = chat.stream(question)
        for _ in turn:
            pass
        assert turn.reply.answer == answer
    roles = [message["role"] for message in backend.requests[-1].messages]
    assert roles == ["system", "user", "assistant", "user"]


def test_a_key_is_needed_where_the_server_says_so(
    served: Serve, connected: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "sk-very-secret"
    url = f"{served(ScriptedBackend('Yes.'), api_keys=(key,)).url}v1"
    with pytest.raises(ServerError, match=r"wants an API key .*--api-key-file"):
        connected(url)
    with pytest.raises(ServerError, match="does not accept") as error:
        connected(url, api_key="sk-other")
    assert "sk-other" not in str(error.value)
    monkeypatch.setenv("MINIREASON_API_KEY", key)
    reasoner = connected(url)
    assert reasoner.ask("?").answer == "Yes."
    assert key not in repr(reasoner) + repr(reasoner.backend)


@pytest.mark.anyio
async def test_it_is_awaited(served: Serve, connected: Connect) -> None:
    backend = ScriptedBackend(ScriptedReply(thinking="Hm.", answer="Yes."))
    async with AsyncReasoner(connected(f"{served(backend).url}v1")) as reasoner:
        reply = await reasoner.ask("?")
    assert (reply.thinking, reply.answer) == ("Hm.", "Yes.")


@pytest.mark.parametrize(
    ("name", "value"), [("min_thinking", 9), ("landing", "So:"), ("loop_check", False)]
)
def test_what_the_server_cannot_do_is_refused(tiny: Reasoner, name: str, value: object) -> None:
    with pytest.raises(BadSetting, match=name):
        tiny.stream(QUESTION, **{name: value})  # type: ignore[call-overload]


@pytest.fixture
def here() -> Iterator[Reasoner]:
    with minireason.load("tiny", n_threads=1) as reasoner:
        yield reasoner


@pytest.mark.parametrize("budget", [None, 10])
def test_confidences_are_those_of_the_model_here(
    tiny: Reasoner, here: Reasoner, budget: int | None
) -> None:
    settings, noted = Settings(temperature=0, thinking_budget=budget), []
    for reasoner in (tiny, here):
        options = StreamOptions(watch_confidence=True)
        stream = reasoner.backend.stream([{"role": "user", "content": QUESTION}], settings, options)
        list(stream)
        noted.append(list(stream.confidences))
    assert len(noted[1]) > 20
    assert noted[0] == pytest.approx(noted[1], abs=1e-3)


def test_a_vote_is_that_of_the_model_here(tiny: Reasoner, here: Reasoner) -> None:
    there, own = (
        one.solve("What is 47 * 86?", samples=4, stop="none", seed=3, thinking_budget=40)
        for one in (tiny, here)
    )
    assert there.answer == own.answer
    assert {chain.seed: chain.text for chain in there.chains} == {
        chain.seed: chain.text for chain in own.chains
    }
    for candidate, same in zip(there.candidates, own.candidates, strict=True):
        assert (candidate.key, candidate.votes) == (same.key, same.votes)
        assert candidate.confidence == pytest.approx(same.confidence, abs=0.05)


@pytest.mark.parametrize("count", [0, 3])
def test_logprobs_are_those_of_the_model_here(tiny: Reasoner, here: Reasoner, count: int) -> None:
    there, own = (one.stream(QUESTION, logprobs=count, temperature=0) for one in (tiny, here))
    list(there)
    list(own)
    assert len(there.logprobs) > 3
    assert b"".join(one.token for one in there.logprobs).decode() == there.reply.answer
    noted = own.logprobs[-len(there.logprobs) :]
    for one, same in zip(there.logprobs, noted, strict=True):
        assert (one.token, one.text_end) == (same.token, same.text_end)
        assert [name for name, _ in one.top] == [name for name, _ in same.top]
        assert one.logprob == pytest.approx(same.logprob, abs=1e-3)
