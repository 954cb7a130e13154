"""A conversation that ends with the beginning of a reply, with the real library underneath."""

from __future__ import annotations

from typing import Any

import pytest

from minireason import BadSetting, Message, Reasoner, Reply, UsageError
from minireason.reasoning.encoding import encode_text
from minireason.settings import LANDING
from tests.integration.thinking import QUESTION, count_closing
from tests.local import local


def begun(thinking: str, content: str = "", question: str = QUESTION) -> list[Message]:
    return [
        Message(role="user", content=question),
        Message(role="assistant", content=content, thinking=thinking),
    ]


def ids(reasoner: Reasoner, messages: str | list[Message], **settings: Any) -> list[int]:
    """The prompt of a stream."""
    with reasoner.stream(messages, **settings) as stream:
        return list(stream.token_ids)


@pytest.fixture(scope="module")
def whole(tiny: Reasoner) -> tuple[Reply, list[int]]:
    """A reply, and all ids of its sequence."""
    stream = tiny.stream(QUESTION, temperature=0)
    list(stream)
    return stream.reply, list(stream.token_ids)


def test_the_prompt_ends_with_what_is_begun(tiny: Reasoner, whole: tuple[Reply, list[int]]) -> None:
    reply, sequence = whole
    vocabulary, prompt = local(tiny).model.vocabulary, ids(tiny, QUESTION)
    for cut in range(len(reply.thinking) + 1):
        text = reply.thinking[:cut]
        assert ids(tiny, begun(text)) == prompt + encode_text(vocabulary, text)
    for cut in range(1, len(reply.answer) + 1):
        size = len(sequence) - len(reply.answer[cut:])
        written = ids(tiny, begun(reply.thinking, reply.answer[:cut]))
        assert written == sequence[:size], "as the model wrote it"


def goes_on_as(tiny: Reasoner, reply: Reply, thinking: str, answer: str = "") -> None:
    more = tiny.ask(begun(thinking, answer), temperature=0)
    assert thinking + more.thinking == reply.thinking
    assert answer + more.answer == reply.answer
    assert more.thinking_end == ("skipped" if answer else "natural")
    assert more.finish_reason == "stop"
    assert more.usage.forced_tokens == 0
    assert more.usage.prompt_tokens == tiny.count_tokens(begun(thinking, answer))


@pytest.mark.parametrize("part", [0.0, 0.31, 0.5, 0.77, 1.0])
def test_a_reply_that_is_cut_goes_on_as_it_did(
    tiny: Reasoner, whole: tuple[Reply, list[int]], part: float
) -> None:
    reply = whole[0]
    goes_on_as(tiny, reply, reply.thinking[: round(part * len(reply.thinking))])
    if part:
        goes_on_as(tiny, reply, reply.thinking, reply.answer[: round(part * len(reply.answer))])


@pytest.mark.slow
def test_a_reply_that_is_cut_anywhere_goes_on_as_it_did(
    tiny: Reasoner, whole: tuple[Reply, list[int]]
) -> None:
    reply = whole[0]
    for cut in range(len(reply.thinking) + 1):
        goes_on_as(tiny, reply, reply.thinking[:cut])
    for cut in range(1, len(reply.answer) + 1):
        goes_on_as(tiny, reply, reply.thinking, reply.answer[:cut])


def test_a_budget_counts_what_is_new(tiny: Reasoner, whole: tuple[Reply, list[int]]) -> None:
    text = whole[0].thinking[:20]
    reply = tiny.ask(begun(text), temperature=0, thinking_budget=20)
    assert reply.thinking_end == "budget"
    assert 20 <= reply.usage.thinking_tokens <= 25
    assert reply.thinking.endswith(LANDING)
    assert whole[0].thinking.startswith(text + reply.thinking.removesuffix(LANDING).rstrip())


@pytest.mark.parametrize(("text", "between"), [("12 + 5\n", ""), ("347 +", "\n\n")])
def test_a_thought_lands_from_where_it_was(tiny: Reasoner, text: str, between: str) -> None:
    stream = tiny.stream(begun(text), temperature=0)
    assert stream.finish_thinking()
    list(stream)
    assert (stream.reply.thinking, stream.reply.thinking_end) == (between + LANDING, "user")
    assert stream.reply.answer
    assert count_closing(tiny, list(stream.token_ids)) == 1


def test_a_thought_that_shall_not_go_on_is_closed(tiny: Reasoner) -> None:
    nothing: list[Any] = [{"thinking": False}, {"thinking_budget": 0}, {"effort": "none"}]
    for none in nothing:
        reply = tiny.ask(begun("12 + 5 is 17."), temperature=0, **none)
        assert (reply.thinking, reply.thinking_end) == ("", "skipped")
        assert reply.answer
    full = tiny.ask(begun("12 + 5 is 17."), temperature=0, max_tokens=3)
    assert (full.thinking, full.thinking_end) == ("", "skipped"), "no room for any thought"


def test_tags_in_what_is_begun_are_text(tiny: Reasoner) -> None:
    for messages in (begun("a</think>b<think>"), begun("a</think>", "b</think>")):
        stream = tiny.stream(messages, temperature=0, max_tokens=60)
        list(stream)
        assert count_closing(tiny, list(stream.token_ids)) == 1


def test_an_answer_that_is_whole_is_not_opened_again(
    tiny: Reasoner, whole: tuple[Reply, list[int]]
) -> None:
    more = tiny.ask(begun(whole[0].thinking, whole[0].answer), temperature=0)
    assert (more.answer, more.finish_reason, more.usage.forced_tokens) == ("", "stop", 0)


def test_structured_answers(tiny: Reasoner) -> None:
    settings: list[dict[str, Any]] = [
        {"choices": ["even", "odd"]},
        {"regex": "[a-z]+"},
        {"schema": {"type": "object"}},
    ]
    for structure in settings:
        with pytest.raises(BadSetting, match="begun already"):
            tiny.stream(begun("", "ev"), **structure)
    reply = tiny.ask(begun("12 + 5"), choices=["even", "odd"], thinking_budget=20, seed=1)
    assert reply.parsed in ("even", "odd")


def test_it_is_cached_as_any_prompt(tiny: Reasoner) -> None:
    question = begun("Cached", question="What is 86 + 57?")
    first, second = (tiny.ask(question, temperature=0) for _ in range(2))
    assert second.usage.cached_tokens == second.usage.prompt_tokens - 1
    assert second.thinking == first.thinking


def test_a_model_that_does_not_think(answers_only: Reasoner) -> None:
    question = "What is the capital of France?"
    reply = answers_only.ask(begun("", "The capital of", question), temperature=0, max_tokens=8)
    assert reply.answer.startswith(" France is Paris")
    assert reply.thinking_end is None
    assert ids(answers_only, begun("t", "The", question)) == [
        *ids(answers_only, question),
        *encode_text(local(answers_only).model.vocabulary, "The"),
    ]
    with pytest.raises(UsageError, match="does not think"):
        answers_only.ask(begun("Well, "))


def test_a_vote_needs_a_question(tiny: Reasoner) -> None:
    with pytest.raises(UsageError, match="A vote asks a question"):
        tiny.solve(begun("", "The answer is"))
    assert not local(tiny).scheduler.sequences
