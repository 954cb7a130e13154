"""Structured answers of models whose vocabulary lacks the two tags, so that both are text."""

from __future__ import annotations

import pytest

from minireason import Reasoner, Stream
from minireason.reasoning.think import Tags
from tests.integration.structured import QUESTION, SCHEMA, assert_valid
from tests.local import local
from tests.scripted import Scripted


def written(reasoner: Reasoner, stream: Stream) -> str:
    """What the model saw after the prompt."""
    tokens = stream.token_ids[stream.reply.usage.prompt_tokens :]
    return b"".join(map(local(reasoner).model.vocabulary.piece, tokens)).decode()


def test_tags_that_are_text(tiny: Reasoner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vocabularies without the two tags: the closing one may come in any pieces."""
    monkeypatch.setattr(local(tiny).encoder, "tags", Tags())
    for script in ([*b"347\n</think>"], [*b"347"]):
        Scripted(
            tiny,
            monkeypatch,
            local(tiny).model.vocabulary.tokenize(bytes(script).decode(), parse_special=False),
        )
        stream = tiny.stream(
            QUESTION, schema=SCHEMA, thinking_budget=16 if len(script) == 3 else None
        )
        list(stream)
        assert_valid(stream.reply)
        assert written(tiny, stream).endswith(f"</think>\n\n{stream.reply.answer[:-1]}"), (
            "the last token need not go in"
        )


def test_the_last_piece_of_a_tag_may_bring_more(
    answers_only: Reasoner, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = local(answers_only).model
    monkeypatch.setattr(local(answers_only).encoder, "tags", Tags())
    monkeypatch.setattr(local(answers_only).encoder, "thinks", True)
    more = next(
        token for token in range(model.vocabulary.n_vocab) if model.vocabulary.piece(token) == b">."
    )
    for end in (more, *model.vocabulary.tokenize(">", parse_special=False)):
        Scripted(
            answers_only,
            monkeypatch,
            [*model.vocabulary.tokenize("Hm.\n</think", parse_special=False), end],
        )
        stream = answers_only.stream(QUESTION, schema=SCHEMA, temperature=1.0)
        list(stream)
        assert_valid(stream.reply)
        assert (stream.reply.thinking, stream.reply.thinking_end) == ("Hm.", "natural")
        assert f"Hm.\n</think>\n\n{stream.reply.answer}".startswith(
            written(answers_only, stream)
        ), "nothing between the blank line and the answer"


def test_a_tag_spelled_out_in_an_answer_stays(
    tiny: Reasoner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local(tiny).encoder, "tags", Tags())
    reply = tiny.ask(QUESTION, schema={"const": " </think> "}, thinking_budget=8)
    assert (reply.parsed, reply.answer) == (" </think> ", '" </think> "')


def test_a_thought_that_only_the_model_would_open_is_opened(
    answers_only: Reasoner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local(answers_only).encoder, "tags", Tags())
    monkeypatch.setattr(local(answers_only).encoder, "thinks", True)
    words, end = (
        local(answers_only).model.vocabulary.tokenize(text, parse_special=False)
        for text in ("Let me see. " * 8, "\n")
    )
    Scripted(answers_only, monkeypatch, words[:20] + end)
    reply = answers_only.ask(QUESTION, schema=SCHEMA, temperature=1.0, seed=1, thinking_budget=20)
    assert_valid(reply)
    assert reply.thinking
    assert reply.thinking_end == "budget"


@pytest.mark.parametrize("blank", range(20, 60, 3))
def test_max_tokens_hold_where_the_tags_are_text(
    text_tags: Reasoner, monkeypatch: pytest.MonkeyPatch, blank: int
) -> None:
    """What comes before the model opens its thought counts, and leaves no room for a landing."""
    model = local(text_tags).model
    monkeypatch.setattr(local(text_tags).encoder, "tags", Tags())
    monkeypatch.setattr(local(text_tags).encoder, "thinks", True)
    script = model.vocabulary.tokenize("\n", parse_special=False) * blank
    script += model.vocabulary.tokenize(
        "<think>Well, so it is, and so be it then.", parse_special=False
    )
    Scripted(text_tags, monkeypatch, script)
    stream = text_tags.stream(QUESTION, max_tokens=60, thinking_budget=4, seed=1)
    list(stream)
    usage = stream.reply.usage
    assert stream.tokens == usage.thinking_tokens + usage.answer_tokens + usage.forced_tokens
    assert stream.tokens <= 60
