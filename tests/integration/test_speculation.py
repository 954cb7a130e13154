"""Speculative decoding: the same replies as without, with the real library underneath."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import minireason
from minireason import BadSetting, LoadChanges, Reasoner, Reply
from minireason.engine.base import Batch
from minireason.engine.context import Context
from minireason.engine.context_params import ContextParams
from minireason.engine.library import C
from minireason.engine.model import Model
from minireason.engine.room import CacheShape
from minireason.engine.sequence import common_prefix
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
    reasoner = minireason.load(model, **settings)
    local(reasoner).scheduler.speculation.gain = AlwaysDraft()
    return reasoner


@pytest.fixture(scope="module")
def plain(lived_in: Path) -> Iterator[Reasoner]:
    with minireason.load("tiny", **BIT_EQUAL, speculation="off") as reasoner:
        yield reasoner


@pytest.fixture(scope="module", params=["what came before", "draft model"])
def drafts(lived_in: Path, request: pytest.FixtureRequest) -> Iterator[Reasoner]:
    model = "tiny" if request.param == "draft model" else None
    with drafting("tiny", **BIT_EQUAL, draft_model=model) as reasoner:
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
        {"seed": 1, "temperature": 0, "loop_check": False, "max_tokens": 200},
        {"seed": 1},
        {"seed": 2, "temperature": 1.2, "top_p": 1.0},
        {"seed": 3, "thinking_budget": 30},
        {"seed": 4, "thinking_budget": 100, "temperature": 0},
        {"seed": 5, "max_tokens": 90},
        {"seed": 6, "schema": SCHEMA, "max_tokens": 150},
        {"seed": 7, "temperature": 0, "schema": SCHEMA, "max_tokens": 150},
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


NEAR_TIE = 0.5
"""Two logits that are no further apart may change places with the batch they were computed in."""

CODE = """def total(numbers):
    result = 0
    for number in numbers:
        result = result + number
    return result
"""


@pytest.mark.parametrize(("name", "seed"), [("smollm2_path", 1), ("random_path", 2)])
def test_where_greedy_text_differs_two_tokens_were_about_as_likely(
    name: str, seed: int, request: pytest.FixtureRequest
) -> None:
    """Elsewhere a batch of more tokens may round in another way."""
    path: Path = request.getfixturevalue(name)
    question = f"Repeat this code {seed} times, word for word:\n{CODE}"
    with drafting(str(path), n_threads=1) as reasoner:
        backend = local(reasoner)
        drafted = greedy(reasoner, question)
        backend.new_drafter = None
        plain = greedy(reasoner, question)
        same = common_prefix(drafted, plain)
        if same < min(len(drafted), len(plain)):
            logits = logits_after(backend.model, plain[:same])
            first, second = logits[plain[same]], logits[drafted[same]]
            assert abs(first - second) < NEAR_TIE


def greedy(reasoner: Reasoner, question: str) -> list[int]:
    """The ids of a prompt and its greedy reply."""
    with reasoner.stream(question, temperature=0, max_tokens=80, loop_check=False) as stream:
        list(stream)
        return list(stream.token_ids)


def logits_after(model: Model, tokens: list[int]) -> list[float]:
    """The logits after these tokens, the last of them decoded alone."""
    context = Context(model, CacheShape(1, 1024), ContextParams(64, 64, n_threads=1))
    for start in range(0, len(tokens) - 1, 64):
        chunk = tokens[start : min(start + 64, len(tokens) - 1)]
        context.decode(Batch.of_slot(0, chunk, start, output=False))
    context.decode(Batch.of_slot(0, tokens[-1:], len(tokens) - 1))
    row = C.llama_get_logits_ith(context.owner.pointer, 0)
    logits = row[: model.vocabulary.n_vocab]
    context.close()
    return logits


def test_drafts_are_taken(drafts: Reasoner) -> None:
    usage = drafts.ask(QUESTION, temperature=0).usage
    assert usage.accepted_tokens > usage.thinking_tokens / 10


def test_a_draft_model_with_another_vocabulary_is_refused(smollm2_path: Path) -> None:
    with pytest.raises(BadSetting, match="vocabulary"):
        minireason.load("tiny", draft_model=str(smollm2_path))
