"""What is asked of a model, awaited: loading, votes, prompts, sources of one's own."""

from __future__ import annotations

import anyio
import pytest

import minireason
from minireason import (
    AsyncReasoner,
    BadSetting,
    Done,
    EngineError,
    Message,
    Reasoner,
    Solved,
    UnknownModel,
    UsageError,
)
from minireason.backends.base import StreamOptions
from minireason.messages import as_messages
from minireason.testing import ScriptedBackend, ScriptedReply
from tests.aio.conftest import Run
from tests.aio.helpers import Gate, eventually
from tests.local import local

QUESTION = "What is 12 + 5?"


def test_it_loads_and_closes(run: Run) -> None:
    async def main() -> None:
        shares: list[float] = []
        async with await minireason.aload(
            "tiny", n_threads=1, n_ctx=1024, on_progress=shares.append
        ) as reasoner:
            assert (reasoner.name, reasoner.thinks, reasoner.n_ctx) == ("tiny", True, 1024)
            assert reasoner.backend is reasoner.reasoner.backend
            assert reasoner.defaults == reasoner.reasoner.defaults
            assert repr(reasoner).startswith("<AsyncReasoner tiny: ")
            assert shares
            assert (await reasoner.ask(QUESTION, temperature=0)).boxed == "17"
        with pytest.raises(EngineError):
            await reasoner.ask(QUESTION)
        with pytest.raises(EngineError):
            reasoner.reasoner.ask(QUESTION)

    run(main)


def test_what_cannot_be_loaded(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(UnknownModel):
            await minireason.aload("tinny")
        with pytest.raises(BadSetting, match="on_progress"):
            await minireason.aload("tiny", on_progress=3)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="aload"):
            AsyncReasoner("tiny")  # type: ignore[arg-type]
        with anyio.move_on_after(0):
            await minireason.aload("tiny")

    run(main)


def test_votes_are_those_of_solve(run: Run, tiny: Reasoner) -> None:
    def vote(reasoner: Reasoner) -> minireason.Solution:
        return reasoner.solve(QUESTION, samples=3, parallel=3, stop="none", seed=1)

    wanted = vote(tiny)

    async def main() -> None:
        reasoner = AsyncReasoner(tiny)
        solution = await reasoner.solve(QUESTION, samples=3, parallel=3, stop="none", seed=1)
        assert (solution.answer, len(solution.chains)) == (wanted.answer, 3)
        stream = reasoner.solve_stream(QUESTION, samples=3, parallel=3, stop="none", seed=1)
        async with stream as votes:
            events = [event async for event in votes]
        assert events[-1] == Solved(votes.solution)
        assert votes.solution.answer == wanted.answer
        with pytest.raises(BadSetting):
            await reasoner.solve(QUESTION, samples=0)

    run(main)


def test_votes_beside_streams_and_left(run: Run, tiny: Reasoner) -> None:
    async def main() -> None:
        reasoner = AsyncReasoner(tiny)
        async with (
            reasoner.solve_stream(QUESTION, samples=8, parallel=4, stop="none") as votes,
            reasoner.stream(QUESTION, temperature=0) as stream,
        ):
            for _ in range(10):
                await anext(votes)
            assert [event async for event in stream][-1] == Done(stream.reply)
            votes.cancel()
            events = [event async for event in votes]
            assert events[-1] == Solved(votes.solution)
            assert votes.solution.stopped_because == "cancelled"
        async with reasoner.solve_stream(QUESTION, samples=8, parallel=4) as votes:
            await votes.next_events()
        assert votes.solution.stopped_because == "cancelled"
        assert not local(tiny).scheduler.sequences

    run(main)


def test_scripted_votes(run: Run) -> None:
    replies = [ScriptedReply(answer=f"\\boxed{{{number}}}") for number in (1, 2, 1, 1)]

    async def main() -> None:
        solution = await AsyncReasoner(Reasoner(ScriptedBackend(replies))).solve(
            "Well?", samples=4, stop="none"
        )
        assert (solution.answer, solution.agreement) == ("1", 0.75)

    run(main)


def test_prompts_are_counted_and_read_ahead(run: Run, tiny: Reasoner) -> None:
    messages = [Message(role="user", content="What is 12 + 5? " * 50)]

    async def main() -> None:
        reasoner = AsyncReasoner(tiny)
        assert await reasoner.count_tokens(messages) == tiny.count_tokens(messages)
        assert await reasoner.prefill(messages) > 0
        assert await reasoner.prefill(messages, lambda: True) == 0
        with pytest.raises(BadSetting, match="stopped"):
            await reasoner.prefill(messages, 3)  # type: ignore[arg-type]

    run(main)


def test_reading_ahead_ends_with_its_task(
    run: Run, tiny: Reasoner, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [Message(role="user", content="What is 21 + 7? " * 100)]

    async def main() -> None:
        gate = Gate(tiny, monkeypatch)
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(AsyncReasoner(tiny).prefill, messages)
                await eventually(lambda: gate.closed)
                scope.cancel()
        gate.allow(1)
        await eventually(lambda: not local(tiny).scheduler.sequences)
        assert not gate.closed

    run(main)


class Counter:
    """A source of one's own: so many numbers, one a poll."""

    def __init__(self, numbers: int) -> None:
        self._left, self.closed = list(range(numbers)), False

    def poll(self) -> list[int]:
        return [self._left.pop(0)] if self._left else []

    @property
    def ended(self) -> bool:
        return not self._left

    def close(self) -> None:
        self.closed = True
        self._left.clear()


def test_open_reads_any_source(run: Run, tiny: Reasoner) -> None:
    async def main() -> None:
        reasoner = AsyncReasoner(tiny)
        counter = Counter(200)
        async with reasoner.open(lambda: counter) as numbers:
            assert [number async for number in numbers] == list(range(200))
        assert counter.closed
        left = Counter(100_000)
        async with reasoner.open(lambda: left) as numbers:
            assert await anext(numbers) == 0
            numbers.cancel()  # it cannot, and goes on
        assert left.closed
        options = StreamOptions(watch_confidence=True)
        async with reasoner.open(
            lambda: tiny.backend.stream(as_messages(QUESTION), tiny.defaults, options)
        ) as stream:
            while await stream.next_events():
                pass
            assert stream.reply.answer

    run(main)
