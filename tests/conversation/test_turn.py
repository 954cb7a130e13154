"""Turns of a conversation: whole, left, dropped, failed."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from minireason import (
    AnswerDelta,
    DecodeFailed,
    Done,
    Reasoner,
    ThinkingDelta,
    UsageError,
)
from minireason.conversation import transcript
from minireason.conversation.history import History
from minireason.engine.base import Batch
from minireason.testing import ScriptedBackend
from tests.local import local

FIRST, SECOND = "What is 12 + 5?", "What is 5 + 8?"


def _read(path: Path) -> History:
    return transcript.read(path).history


def test_what_cannot_be_asked_ends_no_turn() -> None:
    chat = Reasoner(ScriptedBackend("one two three")).chat()
    turn = chat.stream(FIRST)
    next(turn)
    for question, changes in (("\ud800", {}), (SECOND, {"temperature": -1.0})):
        with pytest.raises(UsageError):
            chat.stream(question, **changes)  # type: ignore[arg-type]
    assert [type(event) for event in turn][-1] is Done
    assert [turn.answer for turn in chat.turns] == ["one two three"]


def test_a_turn_that_is_left_or_fails_is_kept_as_far_as_it_came(
    tiny: Reasoner, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = tiny.chat()
    chat.send(FIRST, temperature=0)
    for event in chat.stream(SECOND, temperature=0):
        if isinstance(event, AnswerDelta):
            break
    assert [turn.finish_reason for turn in chat.turns] == ["stop", "cancelled"]
    assert chat.turns[-1].answer

    def fails(*_: object) -> bool:
        raise DecodeFailed(-3, "")

    with monkeypatch.context() as patch:
        patch.setattr(local(tiny).context, "decode", fails)
        with pytest.raises(DecodeFailed):
            chat.send("What is 1 + 2?", temperature=0)
    assert chat.last_question() == "What is 1 + 2?", "what /retry asks"
    assert chat.retry(temperature=0).boxed == "3"


def test_a_turn_is_a_stream_for_with_and_next(tiny: Reasoner) -> None:
    chat = tiny.chat(temperature=0)
    with chat.stream(FIRST) as turn:
        assert isinstance(next(turn), ThinkingDelta)
        events = list(turn)
        assert events[-1] == Done(turn.reply)
        with pytest.raises(UsageError, match="iterated already"):
            iter(turn)
    assert [turn.answer for turn in chat.turns] == ["The answer is \\boxed{17}."]
    with chat.stream(SECOND) as turn:
        while not isinstance(next(turn), AnswerDelta):
            pass
    assert turn.reply.finish_reason == "cancelled"
    assert chat.turns[1].answer == turn.reply.answer
    assert list(turn)[-1] == Done(turn.reply), "what is left, and nothing is noted twice"
    assert len(chat.turns) == 2


def test_one_turn_at_a_time_is_under_way(tiny: Reasoner, tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    with tiny.chat(temperature=0) as chat:
        chat.save(path)
        left = chat.stream(FIRST)
        while not isinstance(next(left), AnswerDelta):
            pass
        chat.send(SECOND)
        assert [turn.question for turn in chat.turns] == [FIRST, SECOND]
        assert left.reply.finish_reason == "cancelled"
        left = chat.stream("What is 1 + 2?")
        next(left)
        assert chat.undo() == "What is 1 + 2?"
        left = chat.stream("What is 2 + 2?")
        while not isinstance(next(left), AnswerDelta):
            pass
    assert [turn.question for turn in _read(path).turns] == [FIRST, SECOND, "What is 2 + 2?"]


def test_a_turn_that_is_dropped_is_kept_and_one_that_never_began_is_not(tiny: Reasoner) -> None:
    chat = tiny.chat(temperature=0)
    turn = chat.stream(FIRST)
    del turn
    assert chat.unanswered is None
    turn = chat.stream(FIRST)
    while not isinstance(next(turn), AnswerDelta):
        pass
    del turn
    assert [turn.finish_reason for turn in chat.turns] == ["cancelled"]


@pytest.fixture
def young_heap() -> Iterator[None]:
    """The collector looks at nothing of before, so that it may be called for every token."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("young_heap")
def test_a_turn_that_is_collected_in_a_step_of_another_stream_changes_nothing(
    tiny: Reasoner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collector calls finalizers wherever it is called, here in the middle of a step."""
    alone = tiny.ask("What is 5 + 8?", temperature=0).answer
    chat = tiny.chat()
    turn = chat.stream("What is 12 * 34?", temperature=0)
    next(turn)
    cycle: list[object] = [turn]
    cycle.append(cycle)
    decode = local(tiny).context.decode

    def collecting(batch: Batch) -> bool:
        gc.collect()
        return decode(batch)

    monkeypatch.setattr(local(tiny).context, "decode", collecting)
    del turn, cycle
    assert tiny.ask("What is 5 + 8?", temperature=0).answer == alone
    assert chat.unanswered == "What is 12 * 34?"


def test_a_turn_that_is_polled_is_noted_as_well() -> None:
    chat = Reasoner(ScriptedBackend("one two three")).chat()
    with chat.stream(FIRST) as turn:
        events = turn.poll()
        assert turn.begun
        while not turn.ended:
            assert turn.ready
            events += turn.poll()
        events += turn.poll()
    assert events == [*map(AnswerDelta, ("one", " two", " three")), Done(turn.reply)]
    assert turn.tokens == 3
    assert [turn.answer for turn in chat.turns] == ["one two three"]
