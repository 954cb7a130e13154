"""Speculative decoding: the same replies as without, with the real library underneath."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import minireason
from minireason import BadSetting, LoadChanges, Reasoner, Reply
from tests.always import AlwaysDraft
from tests.local import local
from tests.scripted import Scripted

QUESTION = "What is 347 + 586? And 586 + 347? And 347 + 586 again?"
SCHEMA = {
    "type": "object",
    "properties": {"sums": {"type": "array", "items": {"type": "integer"}, "maxItems": 8}},
    "required": ["sums"],
}


BIT_EQUAL: LoadChanges = {"n_threads": 1, "kv_type": "q8_0"}
"""With flash attention, which such a cache has, tiny computes the same bits in every batch."""


def drafting(model: str, **settings: Any) -> Reasoner:
    """A model that drafts whether it gains or not."""
    reasoner = minireason.load(model, **BIT_EQUAL, **settings)
    local(reasoner).scheduler.speculation.gain = AlwaysDraft()
    return reasoner


@pytest.fixture(scope="module")
def plain(lived_in: Path) -> Iterator[Reasoner]:
    with minireason.load("tiny", **BIT_EQUAL, speculation="off") as reasoner:
        yield reasoner


@pytest.fixture(scope="module", params=["what came before", "draft model"])
def drafts(lived_in: Path, request: pytest.FixtureRequest) -> Iterator[Reasoner]:
    model = "tiny" if request.param == "draft model" else None
    with drafting("tiny", draft_model=model) as reasoner:
        yield reasoner


def said(reply: Reply) -> dict[str, Any]:
    """All of a reply but its times, what was in the cache and what was drafted."""
    kept = asdict(reply)
    del kept["timings"]
    for name in ("cached_tokens", "drafted_tokens", "accepted_tokens"):
        del kept["usage"][name]
    return kept


@pytest.mark.parametrize(
    "settings",
    [
        {"seed": 1, "temperature": 0},
        {"seed": 1, "temperature": 0, "loop_check": False, "max_tokens": 400},
        {"seed": 1},
        {"seed": 2, "temperature": 1.2, "top_p": 1.0},
        {"seed": 3, "thinking_budget": 30},
        {"seed": 4, "thinking_budget": 100, "temperature": 0},
        {"seed": 5, "max_tokens": 90},
        {"seed": 6, "schema": SCHEMA, "max_tokens": 300},
        {"seed": 7, "temperature": 0, "schema": SCHEMA, "max_tokens": 300},
        {"seed": 8, "choices": ["933", "a lot"]},
        {"seed": 9, "regex": "(933[, ]*){1,9}"},
        {"seed": 10, "stop": ["93"]},
        {"seed": 11, "effort": "none"},
    ],
    ids=str,
)
def test_a_reply_is_the_same_with_drafts(
    plain: Reasoner, drafts: Reasoner, settings: dict[str, Any]
) -> None:
    without, reply = plain.ask(QUESTION, **settings), drafts.ask(QUESTION, **settings)
    assert said(reply) == said(without)
    assert without.usage.drafted_tokens == 0
    usage = reply.usage
    assert 0 <= usage.accepted_tokens <= usage.drafted_tokens


def test_a_loop_is_found_with_drafts_too(
    plain: Reasoner, drafts: Reasoner, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = ("347 + 586\n" + "Wait, let me see.\n" * 100)[:160]
    replies = []
    for reasoner in (plain, drafts):
        Scripted(reasoner, monkeypatch, text)
        replies.append(reasoner.ask(QUESTION, temperature=0, seed=1))
    assert said(replies[0]) == said(replies[1])
    assert replies[0].thinking_end == "loop"


def test_drafts_are_taken(drafts: Reasoner) -> None:
    usage = drafts.ask(QUESTION, temperature=0).usage
    assert usage.accepted_tokens > usage.thinking_tokens / 10


def test_a_draft_model_with_another_vocabulary_is_refused(smollm2_path: Path) -> None:
    with pytest.raises(BadSetting, match="vocabulary"):
        minireason.load("tiny", draft_model=str(smollm2_path))
