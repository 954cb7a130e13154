"""Streams of replies, awaited: the same events, whoever else reads."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest

from minireason import (
    AnswerDelta,
    AsyncReasoner,
    AsyncStream,
    BadSetting,
    ContextFull,
    Done,
    EngineError,
    Event,
    Reasoner,
    ThinkingDelta,
    UsageError,
)
from minireason.aio.mailbox import FULL
from minireason.backends import assembly
from minireason.testing import ScriptedBackend, ScriptedReply
from tests.aio.conftest import Run
from tests.aio.helpers import at_once, eventually, told
from tests.local import local

QUESTION = "What is 12 + 5?"
numbers = itertools.count(100)
"""For prompts that are in no cache yet."""
QUESTIONS = [f"What is {number} + 8?" for number in range(20)]


async def events_of(stream: AsyncStream) -> list[Event]:
    async with stream:
        return [event async for event in stream]


@pytest.fixture(scope="module")
def alone(tiny: Reasoner) -> dict[str, str]:
    """What each of QUESTIONS is answered when nothing else runs."""
    return {question: tiny.ask(question, temperature=0).answer for question in QUESTIONS}


def scripted(*replies: ScriptedReply | str) -> AsyncReasoner:
    return AsyncReasoner(Reasoner(ScriptedBackend(list(replies))))


def test_events_are_those_of_the_synchronous_stream(run: Run, tiny: Reasoner) -> None:
    tiny.ask(QUESTION, temperature=0)  # from now on the prompt is in the cache
    wanted = told(tiny.stream(QUESTION, temperature=0))

    async def main() -> None:
        reasoner = AsyncReasoner(tiny)
        assert told(await events_of(reasoner.stream(QUESTION, temperature=0))) == wanted
        several = []
        async with reasoner.stream(QUESTION, temperature=0) as stream:
            while events := await stream.next_events():
                several += events
            assert not await stream.next_events(), "the end stays the end"
            assert stream.ended
            usage = stream.reply.usage
            assert stream.tokens == usage.thinking_tokens + usage.answer_tokens
        assert told(several) == wanted

    run(main)


def test_twenty_at_once_say_what_each_says_alone(
    run: Run, tiny: Reasoner, alone: dict[str, str]
) -> None:
    answers = {}

    async def main() -> None:
        reasoner = AsyncReasoner(tiny)

        async def ask(question: str) -> None:
            answers[question] = (await reasoner.ask(question, temperature=0)).answer

        async def read(question: str) -> None:
            async with reasoner.stream(question, temperature=0) as stream:
                events = [event async for event in stream]
                assert events[-1] == Done(stream.reply)
            answers[question] = stream.reply.answer

        calls = [
            (lambda question=question, how=read if number % 2 else ask: how(question))
            for number, question in enumerate(QUESTIONS)
        ]
        await at_once(*calls)

    run(main)
    assert answers == alone


def test_streams_share_each_decode(run: Run, tiny: Reasoner) -> None:
    scheduler = local(tiny).scheduler

    async def main() -> None:
        reasoner = AsyncReasoner(tiny)
        before, tokens = scheduler.clock, []

        async def read(question: str) -> None:
            async with reasoner.stream(question, temperature=0) as stream:
                while await stream.next_events():
                    pass
                tokens.append(stream.tokens)

        await at_once(*((lambda question=each: read(question)) for each in QUESTIONS[:8]))
        decodes = scheduler.clock - before
        assert decodes < 2 * max(tokens), "one decode is for all"
        assert sum(tokens) > 4 * max(tokens)

    run(main)


def test_beside_synchronous_streams_in_threads(
    run: Run, tiny: Reasoner, alone: dict[str, str]
) -> None:
    answers = {}

    async def main() -> None:
        reasoner = AsyncReasoner(tiny)

        async def ask(question: str) -> None:
            answers[question] = (await reasoner.ask(question, temperature=0)).answer

        await at_once(*((lambda question=each: ask(question)) for each in QUESTIONS[:4]))

    with ThreadPoolExecutor() as workers:
        asked = {each: workers.submit(tiny.ask, each, temperature=0) for each in QUESTIONS[4:8]}
        run(main)
        answers |= {question: future.result().answer for question, future in asked.items()}
    assert answers == {question: alone[question] for question in QUESTIONS[:8]}


def test_what_is_wrong_is_said_where_the_block_begins(run: Run, tiny: Reasoner) -> None:
    async def main() -> None:
        reasoner = AsyncReasoner(tiny)
        with pytest.raises(BadSetting):
            async with reasoner.stream(QUESTION, temperature=-1):
                pass
        with pytest.raises(ContextFull):
            await reasoner.ask("one two three " * 5000)
        with pytest.raises(BadSetting, match="on_prefill"):
            reasoner.stream(QUESTION, on_prefill=3)  # type: ignore[arg-type]
        stream = reasoner.stream(QUESTION)
        with pytest.raises(UsageError, match="async with"):
            await anext(stream)
        with pytest.raises(UsageError, match="async with"):
            _ = stream.reply
        await stream.aclose()

    run(main)


def test_it_is_opened_and_iterated_once(run: Run) -> None:
    async def main() -> None:
        stream = scripted("one two three").stream("Well?")
        async with stream:
            assert isinstance(await anext(stream), AnswerDelta)
            events = [event async for event in stream]
            assert events[-1] == Done(stream.reply)
            with pytest.raises(UsageError, match="iterated already"):
                aiter(stream)
        with pytest.raises(UsageError, match="opened already"):
            async with stream:
                pass

    run(main)


def test_leaving_early_ends_the_reply(run: Run, tiny: Reasoner) -> None:
    async def main() -> None:
        reasoner = AsyncReasoner(tiny)
        async with reasoner.stream(QUESTION, temperature=0) as stream:
            assert isinstance(await anext(stream), ThinkingDelta)
            with pytest.raises(UsageError, match="not ended"):
                _ = stream.reply
        assert stream.reply.finish_reason == "cancelled"
        assert not local(tiny).scheduler.sequences

    run(main)


def test_cancel_and_finish_thinking(run: Run) -> None:
    long = ScriptedReply(thinking="well " * 5000, answer="So be it.")

    async def main() -> None:
        reasoner = scripted(long, long)
        async with reasoner.stream("Well?") as stream:
            await anext(stream)
            stream.cancel()
            events = [event async for event in stream]
            assert events[-1] == Done(stream.reply)
            assert stream.reply.finish_reason == "cancelled"
            assert stream.reply.usage.thinking_tokens < 5000
        async with reasoner.stream("Well?") as stream:
            await anext(stream)
            assert stream.finish_thinking()
            assert not stream.finish_thinking()
            _ = [event async for event in stream]
            assert (stream.reply.thinking_end, stream.reply.answer) == ("user", "So be it.")
            assert 0 < stream.thinking_tokens < 5000

    run(main)


def test_an_error_goes_to_its_own_task(run: Run) -> None:
    async def main() -> None:
        failing = ScriptedReply(answer="one two", error=EngineError("It broke."))
        reasoner = scripted(failing, failing, "one two three four")
        said: list[Event] = []
        async with (
            reasoner.stream("First?") as first,
            reasoner.stream("Second?") as second,
            reasoner.stream("Third?") as third,
        ):
            said += [await anext(first), await anext(first)]
            with pytest.raises(EngineError, match="It broke"):
                await anext(first)
            assert "".join(getattr(event, "text", "") for event in said) == "one two"
            assert [event async for event in third][-1] == Done(third.reply)
            assert third.reply.answer == "one two three four"
            assert len(await second.next_events()) == 2
            with pytest.raises(EngineError):
                await second.next_events()
            assert await second.next_events() == []

    run(main)


def test_a_schema_that_fails_is_an_error_and_the_reply_is_there(run: Run, tiny: Reasoner) -> None:
    pydantic = pytest.importorskip("pydantic")

    class Picky(pydantic.BaseModel):  # type: ignore[misc, name-defined]
        a: bool

        @pydantic.field_validator("a")  # type: ignore[untyped-decorator]
        @classmethod
        def check(cls, value: bool) -> bool:
            raise RuntimeError("never good enough")

    async def main() -> None:
        reasoner = AsyncReasoner(tiny)
        with pytest.raises(UsageError, match="never good enough"):
            await reasoner.ask(QUESTION, schema=Picky, thinking=False, temperature=0)
        async with reasoner.stream(QUESTION, schema=Picky, thinking=False, temperature=0) as stream:
            with pytest.raises(UsageError, match="never good enough"):
                async for _ in stream:
                    pass
            rest = await stream.next_events()
            while more := await stream.next_events():
                rest += more
            assert rest[-1] == Done(stream.reply)

    run(main)


def test_a_slow_reader_sits_out_and_then_gets_everything(
    run: Run, tiny: Reasoner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembly, "UNREAD_TOKENS", 12)
    long = "What is 347 + 586?"
    wanted = told(tiny.stream(long, temperature=0))
    assert len(wanted) > FULL + 50

    async def main() -> None:
        reasoner = AsyncReasoner(tiny)
        async with reasoner.stream(long, temperature=0) as slow:
            first = await anext(slow)
            for question in QUESTIONS[:3]:
                await reasoner.ask(question, temperature=0)
            tokens = slow.tokens  # while others run on, its own sequence gets no further
            assert tokens < FULL + 50
            for question in QUESTIONS[3:6]:
                await reasoner.ask(question, temperature=0)
            assert slow.tokens == tokens
            rest = [event async for event in slow]
        said, whole = told([first, *rest]), wanted
        assert said[:-1] == whole[:-1]

    run(main)


def test_a_slow_reader_of_its_own_is_not_read_ahead_without_end(run: Run) -> None:
    backend = ScriptedBackend(" word" * 1000)

    async def main() -> None:
        async with AsyncReasoner(Reasoner(backend)).stream("Well?") as stream:
            await eventually(lambda: stream.tokens >= FULL)
            await anyio.sleep(0.05)
            assert stream.tokens <= FULL + 1
            assert len([event async for event in stream]) == 1001

    run(main)


def test_how_far_the_prompt_is_read_is_told_by_its_own_task(run: Run, tiny: Reasoner) -> None:
    def long() -> str:
        return f"word {next(numbers)} " * 200 + QUESTION

    async def main() -> None:
        reasoner = AsyncReasoner(tiny)
        notes: list[tuple[int, int]] = []

        def note(read: int, prompt: int) -> None:
            notes.append((read, prompt))

        def fail(_read: int, _prompt: int) -> None:
            raise ZeroDivisionError

        async with reasoner.stream(long(), on_prefill=note, max_tokens=2) as stream:
            _ = [event async for event in stream]
        assert notes == sorted(notes)
        assert 0 < notes[0][0] < notes[0][1] == stream.reply.usage.prompt_tokens
        async with (
            reasoner.stream(long(), on_prefill=fail, max_tokens=2) as failing,
            reasoner.stream(QUESTION, max_tokens=2) as other,
        ):
            with pytest.raises(ZeroDivisionError):
                await anext(failing)
            assert [event async for event in other][-1] == Done(other.reply)

    run(main)


def test_two_tasks_may_read_one_stream(run: Run) -> None:
    async def main() -> None:
        said: list[Event] = []
        async with scripted(" word" * 300).stream("Well?") as stream:

            async def read() -> None:
                while events := await stream.next_events():
                    said.extend(events)

            await at_once(read, read)
        assert len(said) == 301

    run(main)
