"""Confidences and log-probabilities, as kinds of servers tell them."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minireason import BadSetting, LogprobStream, Reasoner, UsageError
from minireason.backends.base import ReplyStream, StreamOptions
from minireason.backends.remote import scores
from minireason.backends.remote.pieces import Piece
from minireason.engine.confidence import TOP, token_confidence
from minireason.evaluation.items import Item
from minireason.evaluation.run import Runner
from minireason.evaluation.trace_format import Run
from minireason.settings import Settings
from tests.backends.remote.misbehaving import Answer, Misbehaving, chunk, refused, reply

Connect = Callable[..., Reasoner]
Make = Callable[..., Misbehaving]

WATCH = StreamOptions(watch_confidence=True)


def token(text: str, *logprobs: float, **other: Any) -> dict[str, Any]:
    """A token as servers tell it; the first of the likeliest is itself."""
    names = [text, *"abcdefghi"]
    top = [{"token": names[at], "logprob": one} for at, one in enumerate(logprobs)]
    return {"token": text, "logprob": logprobs[0], "top_logprobs": top, **other}


def told(*tokens: dict[str, Any], finish: str | None = None, **delta: Any) -> bytes:
    """A chunk with the log-probabilities of its tokens."""
    event = json.loads(chunk(finish=finish, **delta).removeprefix(b"data: "))
    event["choices"][0]["logprobs"] = {"content": tokens}
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def watched(reasoner: Reasoner) -> ReplyStream:
    """A reply that was read to its end, with its confidences."""
    stream = reasoner.backend.stream([{"role": "user", "content": "?"}], Settings(), WATCH)
    list(stream)
    return stream


def placed(stream: LogprobStream) -> list[tuple[str, float, int]]:
    """What was told of each token, once the stream was read."""
    list(stream)
    return [(one.token.decode(), one.logprob, one.text_end) for one in stream.logprobs]


def test_the_formula_is_that_of_the_engine() -> None:
    logits = np.random.default_rng(0).normal(size=500).astype(np.float32) * 4
    logprobs = logits - np.log(np.exp(logits.astype(np.float64)).sum())
    top = sorted(map(float, logprobs))[-TOP:]
    assert scores.confidence(top) == pytest.approx(token_confidence(logits), rel=1e-5)
    assert scores.confidence([-1.0, -2.0, -9999.0]) == 1.5
    assert scores.confidence([-9999.0]) is scores.confidence([]) is None


@pytest.mark.parametrize("owner", ["vllm", "sglang", "llamacpp", "library"])
def test_a_vote_asks_for_logprobs_and_has_confidences(
    misbehaving: Make, connected: Connect, owner: str
) -> None:
    server = misbehaving(
        reply(
            told(token("Hm", -1.0, -3.0), reasoning="Hm"),
            told(token("Yes", -0.5, -1.5), content="Yes"),
        ),
        owner=owner,
    )
    assert list(watched(connected(server.url)).confidences) == [2.0, 1.0]
    assert (server.bodies[0]["logprobs"], server.bodies[0]["top_logprobs"]) == (True, 20)


@pytest.mark.parametrize("owner", ["vllm", "deepseek", ""])
def test_nobody_is_asked_without_need(misbehaving: Make, connected: Connect, owner: str) -> None:
    server = misbehaving(*[reply(chunk(content="Yes."))] * 2, owner=owner)
    reasoner = connected(server.url)
    assert reasoner.ask("?").answer == "Yes."
    if owner != "vllm":
        assert not watched(reasoner).confidences
    assert not any("logprobs" in body for body in server.bodies)


@pytest.mark.parametrize(
    ("samples", "temperature", "asked"), [(1, 0.6, False), (2, 0.6, True), (2, 0.0, False)]
)
def test_nobody_is_asked_where_nobody_votes(
    misbehaving: Make, connected: Connect, samples: int, temperature: float, asked: bool
) -> None:
    """Two chains of temperature 0 would be the same one, so one is run."""
    server = misbehaving(*[reply(chunk(content="It is 4."))] * 4, owner="vllm")
    reasoner = connected(server.url)
    vote = reasoner.solve("2 + 2?", samples=samples, temperature=temperature, stop="none")
    assert vote.answer == "4"
    run = Runner(reasoner.backend, Run("m", "", 1, None, {}, "set", "", ""), {}, vote=samples > 1)
    item = Item(1, "2 + 2?", "4")
    assert [ended for ended in run.chains([(item, 0, False)]) if ended]
    *voted, evaluated = ("logprobs" in body for body in server.bodies)
    assert set(voted) == {asked}
    assert evaluated == (samples > 1)


def test_a_vote_goes_on_where_logprobs_are_refused(misbehaving: Make, connected: Connect) -> None:
    problem = "Requested sample logprobs of 20, which is greater than max allowed: 5"
    server = misbehaving(refused(400, problem), reply(chunk(content="Yes.")), owner="vllm")
    stream = watched(connected(server.url))
    assert stream.reply.answer == "Yes."
    assert not stream.confidences
    assert ["logprobs" in body for body in server.bodies] == [True, False]


def test_who_asks_for_logprobs_is_told_that_they_are_refused(
    misbehaving: Make, connected: Connect
) -> None:
    server = misbehaving(refused(400, "logprobs are not for this model"), owner="vllm")
    with pytest.raises(UsageError, match="not for this model"):
        list(connected(server.url).stream("?", logprobs=1))


@pytest.mark.parametrize(("owner", "kind"), [("", "plain"), ("deepseek", "deepseek")])
def test_a_kind_that_tells_none(
    misbehaving: Make, connected: Connect, owner: str, kind: str
) -> None:
    reasoner = connected(misbehaving(owner=owner).url)
    with pytest.raises(BadSetting, match=f"logprobs=0: cannot be told .* kind {kind}; leave it"):
        reasoner.stream("?", logprobs=0)


def test_logprobs_are_those_of_the_answer(misbehaving: Make, connected: Connect) -> None:
    server = misbehaving(
        reply(
            told(token("Hm", -1.0), reasoning="Hm"),
            told(token("</think>", -0.1), token("\n\n", -0.2), token("It", -0.3), content="\n\nIt"),
            told(token(" is", -0.4, -0.5, -0.6), content=" is"),
            told(token(" é", -0.7), token("!", -0.8), content=" é!"),
            told(token("<end>", -0.9), finish="stop"),
        ),
        owner="vllm",
    )
    stream = connected(server.url).stream("?", logprobs=2)
    assert placed(stream) == [
        ("It", -0.3, 2),
        (" is", -0.4, 5),
        (" é", -0.7, 7),
        ("!", -0.8, 8),
    ]
    assert stream.logprobs[1].top == ((b" is", -0.4), (b"a", -0.5))
    assert not stream.confidences
    assert server.bodies[0]["top_logprobs"] == 2


def test_tags_within_the_text_have_none(misbehaving: Make, connected: Connect) -> None:
    pieces = ["<th", "ink>", "Hm", ".", "</think>", "\n\n", "Yes", "."]
    server = misbehaving(
        reply(*(told(token(piece, -1.0), content=piece) for piece in pieces)), owner="vllm"
    )
    stream = connected(server.url).stream("?", logprobs=1)
    assert placed(stream) == [("\n\n", -1.0, 0), ("Yes", -1.0, 3), (".", -1.0, 4)]
    assert stream.reply.thinking == "Hm."


def test_what_only_begins_like_a_tag_is_the_answer(misbehaving: Make, connected: Connect) -> None:
    pieces = ["<", "th", "e", " end"]
    server = misbehaving(
        reply(*(told(token(piece, -1.0), content=piece) for piece in pieces)), owner="vllm"
    )
    stream = connected(server.url).stream("?", logprobs=0)
    assert [text for text, _, _ in placed(stream)] == pieces
    assert not any(one.top for one in stream.logprobs)
    assert server.bodies[0]["top_logprobs"] == 1


def test_a_character_in_several_tokens(misbehaving: Make, connected: Connect) -> None:
    halves = [token("�", -1.0, bytes=[byte]) for byte in "é".encode()]
    server = misbehaving(reply(told(*halves, content="é")), owner="vllm")
    stream = connected(server.url).stream("?", logprobs=1)
    list(stream)
    assert [(one.token, one.text_end) for one in stream.logprobs] == [(b"\xc3", 0), (b"\xa9", 1)]


@pytest.mark.parametrize(
    "broken",
    [
        None,
        7,
        {},
        {"token": "Yes", "logprob": "high"},
        {"token": "Yes", "logprob": 10**400},
        {"token": 5, "logprob": -1.0},
        {"token": "Yes", "logprob": float("nan")},
        {"token": "Yes", "logprob": -1.0, "bytes": ["x"], "top_logprobs": 3},
        {"token": "Yes", "logprob": -1.0, "bytes": [999], "top_logprobs": [None, {}, 1]},
        {
            "token": "Yes",
            "logprob": -1.0,
            "top_logprobs": [{"token": "\ud800", "logprob": 10**400}],
        },
    ],
)
def test_broken_ones_cost_no_reply(misbehaving: Make, connected: Connect, broken: Any) -> None:
    event = {"choices": [{"delta": {"content": "Yes"}, "logprobs": {"content": [broken]}}]}
    piece = b"data: " + json.dumps(event).encode() + b"\n\n"
    server = misbehaving(*[reply(piece)] * 2, owner="vllm")
    reasoner = connected(server.url)
    stream = watched(reasoner)
    assert stream.reply.answer == "Yes"
    assert not stream.confidences
    assert not [text for text, _, _ in placed(reasoner.stream("?", logprobs=1)) if text != "Yes"]


def test_confidences_after_a_cut_are_those_of_both_requests(
    misbehaving: Make, connected: Connect
) -> None:
    thought = [told(token(f" w{at}", -1.0), reasoning=f" w{at}") for at in range(10)]
    server = misbehaving(
        Answer([*thought, *thought]), reply(told(token("2", -3.0), content="2")), owner="sglang"
    )
    backend = connected(server.url).backend
    stream = backend.stream([{"role": "user", "content": "?"}], Settings(thinking_budget=8), WATCH)
    list(stream)
    assert list(stream.confidences) == [*[1.0] * 10, 3.0]
    assert [body["top_logprobs"] for body in server.bodies] == [20, 20]


@pytest.mark.slow
def test_no_more_of_the_likeliest_are_kept_than_were_asked_for() -> None:
    """A server that lists ever more of them, before it is known whether they are the answer's."""
    kept = scores.Scores(StreamOptions(logprobs=1))
    answered = scores.Answered((0, 0), 0, undecided=True)
    tracemalloc.start()
    for _ in range(20):
        top = [{"token": f"{rank}", "logprob": -1.0 * rank} for rank in range(10_000)]
        listed = [{"token": "a", "logprob": -1.0, "top_logprobs": top}]
        kept.add(Piece(content=" ", logprobs=listed), answered)
    kept_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept_bytes < 8 * 2**20
