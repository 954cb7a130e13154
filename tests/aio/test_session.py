"""Conversations, awaited."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from minireason import AnswerDelta, AsyncReasoner, Done, Reasoner, SessionError, ThinkingDelta
from minireason.testing import ScriptedBackend, ScriptedReply
from tests.aio.conftest import Run
from tests.aio.helpers import at_once, eventually, told
from tests.local import local

FIRST, SECOND = "What is 12 + 5?", "Add 4 to that."
LONG = ScriptedReply(thinking="well " * 500, answer="word " * 500)


def chat_of(*replies: ScriptedReply | str) -> tuple[AsyncReasoner, ScriptedBackend]:
    backend = ScriptedBackend(list(replies))
    return AsyncReasoner(Reasoner(backend)), backend


def test_turns_are_those_of_the_synchronous_chat(run: Run, tiny: Reasoner, tmp_path: Path) -> None:
    with tiny.chat(temperature=0) as chat:
        wanted = [told(chat.stream(question)) for question in (FIRST, SECOND)]
        turns, messages = chat.turns, chat.messages

    async def main() -> None:
        path = tmp_path / "chat.jsonl"
        async with AsyncReasoner(tiny).chat(temperature=0) as chat:
            await chat.save(path)
            for question, events in zip((FIRST, SECOND), wanted, strict=True):
                async with chat.stream(question) as turn:
                    said = told([event async for event in turn])
                assert said[:-1] == events[:-1]
                assert turn.reply.answer == chat.turns[-1].answer
            assert chat.messages == messages
            assert [turn.answer for turn in chat.turns] == [turn.answer for turn in turns]
            assert await chat.undo() == SECOND
        async with AsyncReasoner(tiny).chat() as chat:
            assert await chat.load(path) == ()
            assert [turn.question for turn in chat.turns] == [FIRST]
            await chat.clear()
            assert chat.turns == ()
            assert await chat.prefill() >= 0
        assert not local(tiny).scheduler.sequences

    run(main)


def test_send_retry_and_edit(run: Run) -> None:
    async def main() -> None:
        reasoner, backend = chat_of("one", "two", "three")
        chat = reasoner.chat(seed=7)
        with pytest.raises(SessionError):
            await chat.retry()
        assert (await chat.send("First?")).answer == "one"
        assert (await chat.retry()).answer == "two"
        assert [request.settings.seed for request in backend.requests] == [7, None]
        assert (await chat.edit("Second?")).answer == "three"
        assert [(turn.question, turn.answer) for turn in chat.turns] == [("Second?", "three")]
        await chat.aclose()

    run(main)


def test_a_turn_that_is_left_is_kept_as_far_as_it_came(run: Run) -> None:
    async def main() -> None:
        reasoner, backend = chat_of(LONG, "two")
        chat = reasoner.chat()
        async with chat.stream("First?") as turn:
            async for event in turn:
                if isinstance(event, AnswerDelta):
                    break
        assert backend.running == 0
        assert [turn.finish_reason for turn in chat.turns] == ["cancelled"]
        assert (await chat.send("Second?")).answer == "two"
        assert len(chat.turns) == 2

    run(main)


def test_what_comes_next_ends_the_turn_under_way(run: Run) -> None:
    async def main() -> None:
        reasoner, backend = chat_of(LONG, "two")
        chat = reasoner.chat()
        async with chat.stream("First?") as first:
            assert isinstance(await anext(first), ThinkingDelta)
            assert (await chat.send("Second?")).answer == "two"
            events = [event async for event in first]
            assert events[-1] == Done(first.reply)
            assert first.reply.finish_reason == "cancelled"
        assert backend.running == 0
        assert [turn.question for turn in chat.turns][-1] == "Second?"

    run(main)


def test_tasks_that_ask_at_the_same_time_leave_it_whole(run: Run) -> None:
    async def main() -> None:
        reasoner, _ = chat_of(*["word " * 50] * 8)
        chat = reasoner.chat()

        async def ask() -> None:
            reply = await chat.send("Well?")
            assert reply.finish_reason in ("stop", "cancelled")

        await at_once(*[ask] * 8)
        assert chat.turns[-1].finish_reason == "stop"
        assert len(chat.turns) <= 8
        assert (len(chat.messages)) == 2 * len(chat.turns)

    run(main)


def test_a_cancelled_task_ends_its_turn(run: Run, tiny: Reasoner) -> None:
    async def main() -> None:
        chat = AsyncReasoner(tiny).chat()
        with anyio.move_on_after(0.02):
            await chat.send("What is 12 * 34?")
        await eventually(lambda: not local(tiny).scheduler.sequences)
        assert (await chat.send(FIRST, temperature=0)).boxed == "17"

    run(main)


def test_it_reads_ahead(run: Run, tiny: Reasoner) -> None:
    async def main() -> None:
        async with AsyncReasoner(tiny).chat(read_ahead=True, temperature=0) as chat:
            await chat.send(FIRST)
            await anyio.to_thread.run_sync(chat.session.wait_for_read_ahead)
            reply = await chat.send(SECOND)
            assert reply.boxed == "21"
            assert reply.usage.cached_tokens > 30

    run(main)
