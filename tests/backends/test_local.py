"""The backend that runs llama.cpp, asked as voting and conversation ask it."""

from __future__ import annotations

from typing import Any

import pytest

import minireason
from minireason import EngineError, MinireasonError, Reasoner
from minireason.backends.base import Backend, ReplyStream, StreamOptions, missing_of
from minireason.messages import as_messages
from minireason.voting.chain import check_prompt
from tests.local import local

QUESTION = "What is 12 + 5?"


def refusal(act: Any) -> tuple[type[MinireasonError], str] | None:
    """The kind of error that an act raises, and what it says."""
    try:
        act()
    except MinireasonError as error:
        return type(error), str(error)
    return None


@pytest.mark.parametrize(
    ("question", "changes", "refused"),
    [
        (QUESTION, {}, False),
        (QUESTION, {"thinking_budget": 2000}, False),
        (QUESTION, {"thinking_budget": 4090}, True),
        (QUESTION, {"thinking_budget": 5000}, True),
        ("1 + " * 500, {"thinking_budget": 2000}, True),
        ("1 + " * 500, {"thinking_budget": 0}, False),
        ("1 + " * 1100, {}, True),
        ("1" * 4085, {"thinking": False}, False),
        ("1" * 4090, {}, True),
        ("1" * 4090, {"thinking": False}, True),
        ("1 + " * 9000, {}, True),
        (QUESTION, {"schema": {"type": "nonsense"}}, True),
        (QUESTION, {"regex": "("}, True),
        ("  ", {}, True),
    ],
)
def test_a_check_says_what_a_stream_would(
    tiny: Reasoner, question: str, changes: dict[str, Any], refused: bool
) -> None:
    backend = tiny.backend
    messages, settings = as_messages(question), tiny.defaults.changed(changes)
    of_stream = refusal(lambda: backend.stream(messages, settings, StreamOptions()).close())
    assert refusal(lambda: check_prompt(backend, messages, settings)) == of_stream
    assert bool(of_stream) is refused


def test_it_is_a_backend(tiny: Reasoner) -> None:
    backend: Backend = local(tiny)
    assert missing_of(backend) == []
    assert backend.bare_questions, "as the catalogue says of tiny"
    stream: ReplyStream = backend.stream(
        as_messages(QUESTION), tiny.defaults.changed({"max_tokens": 5}), StreamOptions()
    )
    assert list(stream)
    assert stream.confidences == ()


def test_options_of_a_stream(tiny: Reasoner) -> None:
    settings = tiny.defaults.changed({"temperature": 0})
    options = StreamOptions(watch_confidence=True, allowance=lambda: 10 - stream.tokens)
    stream = tiny.backend.stream(as_messages(QUESTION), settings, options)
    for _ in stream:
        pass
    assert stream.reply.finish_reason == "length"
    assert 0 < stream.tokens <= 10
    usage = stream.reply.usage
    assert len(stream.confidences) == usage.thinking_tokens + usage.answer_tokens
    assert min(stream.confidences) > 0


def test_a_reply_stays_in_the_cache_where_a_next_prompt_goes_on_from_it(
    answers_only: Reasoner,
) -> None:
    backend = local(answers_only)
    settings = answers_only.defaults.changed({"temperature": 0, "max_tokens": 20})
    kept = {}
    for cache_reply in (False, True):
        options = StreamOptions(cache_reply=cache_reply)
        question = as_messages(f"Say {cache_reply}.")
        with backend.stream(question, settings, options) as stream:
            list(stream)
        ids = list(stream.token_ids)
        kept[cache_reply] = backend.scheduler.cached([*ids, 0]) - stream.reply.usage.prompt_tokens
    assert kept[False] <= 0 < kept[True]


def test_room_for_chains() -> None:
    with minireason.load("tiny", n_ctx=1280, n_threads=1) as reasoner:
        backend = reasoner.backend
        assert backend.room_for(10_000) == 1
        assert backend.room_for(600) == 2
        assert backend.room_for(10) == backend.max_parallel == 16


def test_after_closing_everything_says_so() -> None:
    with minireason.load("tiny", n_threads=1) as reasoner:
        backend, settings = reasoner.backend, reasoner.defaults
    for act in (
        lambda: backend.check(settings),
        lambda: backend.count_tokens(as_messages(QUESTION)),
        lambda: backend.prefill(as_messages(QUESTION), lambda: False),
        lambda: backend.stream(as_messages(QUESTION), settings, StreamOptions()),
    ):
        with pytest.raises(EngineError, match="closed"):
            act()
