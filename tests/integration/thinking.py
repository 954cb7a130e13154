"""What holds for every reply, however its thought was ended."""

from __future__ import annotations

from minireason import AnswerDelta, Reasoner, Reply, ThinkingDelta
from tests.local import local

QUESTION = "What is 12 + 5?"


def assert_landed(reply: Reply) -> None:
    """What holds for every reply, however it was cut."""
    assert "think>" not in reply.thinking + reply.answer
    assert reply.answer or reply.finish_reason == "length"
    assert (reply.thinking_end == "natural") == (
        reply.usage.forced_tokens == 0
    ) or reply.thinking_end == "skipped"


def count_closing(reasoner: Reasoner, reply_ids: list[int]) -> int:
    close = local(reasoner).encoder.tags.close_id
    return reply_ids.count(close) if close is not None else 0


def ask(reasoner: Reasoner, question: str, **settings: object) -> Reply:
    """The reply, after a look at what the model saw.

    One closing tag, and exactly the text that was shown.
    """
    stream = reasoner.stream(question, **settings)  # type: ignore[arg-type]
    shown = [event.text for event in stream if isinstance(event, ThinkingDelta | AnswerDelta)]
    reply = stream.reply
    assert "".join(shown) == reply.thinking + reply.answer
    assert count_closing(reasoner, stream.token_ids) == 1
    return reply
