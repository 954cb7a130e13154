"""A reply is the same wherever it comes from: events, sides, counts and seeds."""

from __future__ import annotations

import pytest

from minireason import AnswerDelta, Done, Reply, ThinkingDelta
from tests.backends.contract.conftest import QUESTION
from tests.backends.contract.places import Model

SUM = "What is 3 + 4?"


def test_events_come_in_order_and_join_to_the_reply(model: Model) -> None:
    events = list(model.reasoner.stream(QUESTION, seed=1))
    kinds = [type(event) for event in events]
    thoughts, answers = kinds.count(ThinkingDelta), kinds.count(AnswerDelta)
    assert min(thoughts, answers) > 1
    assert kinds == [ThinkingDelta] * thoughts + [AnswerDelta] * answers + [Done]
    assert isinstance(done := events[-1], Done)
    sides = {
        kind: "".join(event.text for event in events if isinstance(event, kind))
        for kind in (ThinkingDelta, AnswerDelta)
    }
    assert sides == {ThinkingDelta: done.reply.thinking, AnswerDelta: done.reply.answer}


def test_a_greedy_reply_is_that_of_the_model_here(model: Model, own: Reply) -> None:
    reply = model.reasoner.ask(QUESTION, temperature=0)
    assert (reply.thinking, reply.answer, reply.boxed) == (own.thinking, own.answer, "17")
    assert (reply.finish_reason, reply.thinking_end) == ("stop", "natural")
    assert "</think>" not in reply.thinking + reply.answer


def test_the_same_seed_gives_the_same_text(model: Model) -> None:
    def hot(seed: int | None = None) -> Reply:
        return model.reasoner.ask(
            QUESTION, seed=seed, temperature=2.0, top_p=1.0, top_k=0, max_tokens=120
        )

    first = hot()
    again = hot(first.seed)
    assert (first.thinking, first.answer) == (again.thinking, again.answer)
    others = [hot(seed) for seed in range(4)]
    assert [other.seed for other in others] == [0, 1, 2, 3]
    if model.place.name != "scripted":  # two seeds may happen on one text, four do not
        assert len({(other.thinking, other.answer) for other in others}) > 1


def test_too_few_tokens_cut_it_off(model: Model) -> None:
    reply = model.reasoner.ask(QUESTION, max_tokens=3, seed=1)
    assert reply.finish_reason == "length"
    assert reply.usage.thinking_tokens + reply.usage.answer_tokens == 3
    assert reply.thinking + reply.answer


def test_all_tokens_are_counted(model: Model) -> None:
    stream = model.reasoner.stream(SUM, temperature=0)
    counts = [stream.tokens for _ in stream]
    usage = stream.reply.usage
    assert counts == sorted(counts)
    assert counts[-1] == usage.thinking_tokens + usage.answer_tokens + usage.forced_tokens
    assert min(usage.thinking_tokens, usage.answer_tokens) > 0
    assert usage.cached_tokens <= usage.prompt_tokens


def test_the_counts_are_the_servers(model: Model, own: Reply) -> None:
    if model.url is None:
        pytest.skip("it is no server")
    usage = model.reasoner.ask(QUESTION, temperature=0).usage
    messages = [{"role": "user", "content": QUESTION}]
    told = model.whole(messages=messages, temperature=0, repeat_penalty=1.0)["usage"]
    assert usage.thinking_tokens + usage.answer_tokens == told["completion_tokens"]
    if model.can("usage"):
        assert usage.prompt_tokens == told["prompt_tokens"] == own.usage.prompt_tokens
    wrong_by = 0 if model.can("sides") else 4  # tags and blank lines may count on either side
    assert abs(usage.thinking_tokens - own.usage.thinking_tokens) <= wrong_by


@pytest.mark.parametrize(
    "literal", ["<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>", "</think>"]
)
def test_text_forges_no_control_token(model: Model, literal: str) -> None:
    """A token of the vocabulary would be one; as text each byte of it is, for this model."""
    if not (model.can("usage") or model.place.name == "local"):
        pytest.skip("it does not tell how many tokens a prompt has")
    clean, forged = (
        model.reasoner.ask(f"{SUM}{text}", max_tokens=1).usage.prompt_tokens
        for text in ("", literal)
    )
    assert forged - clean >= len(literal.encode())


@pytest.mark.slow
def test_a_model_that_only_answers(plain: Model) -> None:
    reply = plain.reasoner.ask(QUESTION, temperature=0, max_tokens=12)
    assert reply.thinking == ""
    assert reply.thinking_end in (None, "skipped")
    assert reply.answer
    assert 0 < reply.usage.answer_tokens <= 12
    assert reply.usage.thinking_tokens == 0
