"""A stream that is interrupted between two lines of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

import pytest

from minireason import AnswerDelta, Done, Reasoner, SolveStream, Stream, TurnStream, UsageError
from minireason.backends import stream as module
from minireason.conversation import transcript
from minireason.engine.base import Batch
from tests.local import local

Closable: TypeAlias = Stream | TurnStream | SolveStream


class Interrupter:
    """Raises KeyboardInterrupt at line number `at` that the file of `Stream` runs, once."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, frame: FrameType, event: str, _argument: object) -> Any:
        if frame.f_code.co_filename != module.__file__:
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return self


def polled(stream: Stream, at: int) -> str:
    """All text of a stream that is polled to its end, and interrupted once on the way."""
    text, interrupter = "", Interrupter(at)
    for _ in range(400):
        sys.settrace(interrupter if interrupter.left > 0 else None)
        try:
            events = stream.poll()
        except KeyboardInterrupt:
            continue
        finally:
            sys.settrace(None)
        text += "".join(getattr(event, "text", "") for event in events)
        if events and isinstance(events[-1], Done):
            return text
    raise AssertionError("the last event never came")


@pytest.mark.parametrize("at", range(20, 44))
def test_an_interruption_loses_no_event(tiny: Reasoner, at: int) -> None:
    with tiny.stream("What is 3 + 4?", temperature=0, max_tokens=12) as stream:
        text = polled(stream, at)
        assert text == stream.reply.thinking + stream.reply.answer


def in_a_step(tiny: Reasoner, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Ask a question, with `act` called in the middle of its first step."""
    context, acts = local(tiny).context, [act]
    decode = context.decode

    def acting(batch: Batch) -> bool:
        while acts:
            acts.pop()()
        return decode(batch)

    with monkeypatch.context() as patch:
        patch.setattr(context, "decode", acting)
        assert tiny.ask("What is 3 + 4?", max_tokens=10).finish_reason == "length"
    assert not acts


def within_block(stream: Closable) -> Iterator[object]:
    with stream:
        for event in stream:  # noqa: UP028 (a loop is what is tried here)
            yield event


def delegated(stream: Closable) -> Iterator[object]:
    yield from stream


@pytest.mark.parametrize("around", [within_block, delegated])
@pytest.mark.parametrize(
    "opened",
    [
        lambda tiny: tiny.stream("What is 1 + 2?"),
        lambda tiny: tiny.chat().stream("What is 1 + 2?"),
        lambda tiny: tiny.solve_stream("What is 1 + 2?", samples=2),
    ],
)
def test_a_generator_around_a_stream_may_be_closed_in_the_middle_of_a_step(
    tiny: Reasoner,
    monkeypatch: pytest.MonkeyPatch,
    opened: Callable[[Reasoner], Closable],
    around: Callable[[Closable], Generator[object]],
) -> None:
    """As where it is collected there."""
    abandoned = around(opened(tiny))
    next(abandoned)
    in_a_step(tiny, monkeypatch, abandoned.close)
    assert not local(tiny).scheduler.sequences


def test_a_stream_that_was_closed_in_the_middle_of_a_step_ends_when_it_is_read_on(
    tiny: Reasoner, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = tiny.stream("What is 1 + 2?")
    next(stream)
    in_a_step(tiny, monkeypatch, stream.close)
    last = stream.poll()[-1]
    assert isinstance(last, Done)
    assert last.reply.finish_reason == "cancelled"


def test_a_turn_that_was_closed_in_the_middle_of_a_step_is_kept(
    tiny: Reasoner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    chat = tiny.chat()
    chat.save_to(tmp_path / "a.jsonl")
    turn = chat.stream("What is 1 + 2?", temperature=0)
    for event in turn:
        if isinstance(event, AnswerDelta):
            break

    def closed() -> None:
        turn.close()
        for change in (chat.clear, chat.undo, chat.prefill):
            with pytest.raises(UsageError, match="in the middle of a step"):
                change()

    in_a_step(tiny, monkeypatch, closed)
    assert [turn.finish_reason for turn in chat.turns] == ["cancelled"]
    assert chat.turns[0].answer
    assert transcript.read(tmp_path / "a.jsonl").history.turns == list(chat.turns)


def test_two_turns_may_be_closed_in_the_middle_of_a_step(
    tiny: Reasoner, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = tiny.chat()
    chat.send("What is 1 + 2?", temperature=0)
    first, second = (chat.stream(f"What is {n} + 2?", temperature=0) for n in (3, 5))
    for turn in (first, second):
        next(turn)

    def closed() -> None:
        first.close()
        second.close()
        assert len(chat.turns) == 1

    in_a_step(tiny, monkeypatch, closed)
    assert chat.unanswered in ("What is 3 + 2?", "What is 5 + 2?")


def test_a_conversation_that_is_left_in_the_middle_of_a_step_has_saved_what_was_said(
    tiny: Reasoner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def events() -> Generator[object]:
        with tiny.chat() as chat:
            chat.save_to(tmp_path / "a.jsonl")
            yield from chat.stream("What is 1 + 2?", temperature=0)

    abandoned = events()
    while not isinstance(next(abandoned), AnswerDelta):
        pass
    in_a_step(tiny, monkeypatch, abandoned.close)
    (kept,) = transcript.read(tmp_path / "a.jsonl").history.turns
    assert kept.answer


def test_a_vote_that_was_closed_in_the_middle_of_a_step_has_its_solution_once_closed_again(
    tiny: Reasoner, monkeypatch: pytest.MonkeyPatch
) -> None:
    vote = tiny.solve_stream("What is 1 + 2?", samples=2)
    next(vote)
    in_a_step(tiny, monkeypatch, vote.close)
    with pytest.raises(UsageError, match="close it first"):
        _ = vote.solution
    vote.close()
    assert vote.solution.stopped_because == "cancelled"
