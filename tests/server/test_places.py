from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from minireason.server.places import FairPlaces
from minireason.wire.errors import ApiError

Act = Callable[[], Awaitable[None]]


def places(**options: Any) -> FairPlaces:
    return FairPlaces(**{"max_waiting": 8, "max_wait_s": 60.0, **options})


class Crowd:
    """Tasks that take a place, note it, and hold it until they are let go."""

    def __init__(self, line: FairPlaces, of: int = 1) -> None:
        self._line, self._of = line, of
        self.inside: list[str] = []
        self.order: list[str] = []
        self.doors: dict[str, anyio.Event] = {}
        self.refused: dict[str, ApiError] = {}

    async def come(self, name: str, owner: str = "", count: int = 1) -> None:
        self.doors[name] = anyio.Event()
        try:
            async with self._line.take("m", self._of, owner, count):
                self.inside.append(name)
                self.order.append(name)
                try:
                    await self.doors[name].wait()
                finally:
                    self.inside.remove(name)
        except ApiError as error:
            self.refused[name] = error

    async def leave(self, name: str) -> None:
        self.doors[name].set()
        await anyio.wait_all_tasks_blocked()


async def start(tasks: Any, crowd: Crowd, name: str, owner: str = "", count: int = 1) -> None:
    tasks.start_soon(crowd.come, name, owner, count)
    await anyio.wait_all_tasks_blocked()


def test_first_come_first_served() -> None:
    async def main() -> None:
        line = places()
        crowd = Crowd(line, of=2)
        async with anyio.create_task_group() as tasks:
            for name in "abcd":
                await start(tasks, crowd, name)
            assert crowd.inside == ["a", "b"]
            assert line.counts() == {"m": (2, 2, 2)}
            await crowd.leave("b")
            assert crowd.inside == ["a", "c"]
            for name in "acd":
                await crowd.leave(name)
        assert crowd.order == list("abcd")
        assert line.idle("m")

    anyio.run(main)


def test_the_flood_of_one_key_does_not_keep_others_out() -> None:
    async def main() -> None:
        crowd = Crowd(places())
        async with anyio.create_task_group() as tasks:
            for number in range(5):
                await start(tasks, crowd, f"a{number}", "ann")
            await start(tasks, crowd, "b0", "bob")
            await start(tasks, crowd, "e0", "eve")
            await start(tasks, crowd, "b1", "bob")
            for name in ("a0", "a1", "b0", "e0", "a2", "b1", "a3", "a4"):
                await crowd.leave(name)
        assert crowd.order == ["a0", "a1", "b0", "e0", "a2", "b1", "a3", "a4"]

    anyio.run(main)


def test_whoever_wants_several_is_not_passed_by_those_that_want_one() -> None:
    async def main() -> None:
        crowd = Crowd(places(), of=3)
        async with anyio.create_task_group() as tasks:
            await start(tasks, crowd, "a")
            await start(tasks, crowd, "all", count=9)
            await start(tasks, crowd, "b")
            assert crowd.inside == ["a"]
            await crowd.leave("a")
            assert crowd.inside == ["all"]
            await crowd.leave("all")
            assert crowd.inside == ["b"]
            await crowd.leave("b")

    anyio.run(main)


def test_too_many_that_wait_are_sent_away_and_told_when_to_come_again() -> None:
    async def main() -> None:
        crowd = Crowd(places(max_waiting=1))
        async with anyio.create_task_group() as tasks:
            for name in "abc":
                await start(tasks, crowd, name, "ann")
            await start(tasks, crowd, "x", "bob")
            error = crowd.refused["c"]
            assert (error.status, error.code) == (503, "server_busy")
            assert error.retry_after_s
            for name in "abx":
                await crowd.leave(name)
        assert crowd.order == list("abx")

    anyio.run(main)


def test_waiting_ends_after_a_while() -> None:
    async def main() -> None:
        line = places(max_wait_s=0.01)
        crowd = Crowd(line)
        async with anyio.create_task_group() as tasks:
            await start(tasks, crowd, "a")
            await start(tasks, crowd, "b")
            with anyio.fail_after(60):
                while "b" not in crowd.refused:
                    await anyio.sleep(0.005)
            assert crowd.refused["b"].status == 503
            assert line.counts() == {"m": (0, 1, 1)}
            await crowd.leave("a")
        assert line.idle("m")

    anyio.run(main)


@pytest.mark.parametrize("placed_first", [True, False])
def test_cancelled_in_the_line_or_just_when_called_leaves_no_place_taken(
    placed_first: bool,
) -> None:
    async def main() -> None:
        line = places()
        crowd = Crowd(line)
        async with anyio.create_task_group() as tasks:
            await start(tasks, crowd, "a")
            async with anyio.create_task_group() as others:
                await start(others, crowd, "b")
                if (
                    placed_first
                ):  # in one turn of the loop: b is called, and cancelled before it runs
                    crowd.doors["a"].set()
                    await anyio.lowlevel.checkpoint()
                others.cancel_scope.cancel()
            await start(tasks, crowd, "c")
            if not placed_first:
                await crowd.leave("a")
            assert crowd.inside == ["c"]
            await crowd.leave("c")
        assert line.idle("m")
        assert line.counts() == {"m": (0, 0, 1)}

    anyio.run(main)


def test_closing_sends_all_away() -> None:
    async def main() -> None:
        line = places()
        crowd = Crowd(line)
        async with anyio.create_task_group() as tasks:
            for name in "abc":
                await start(tasks, crowd, name)
            line.close()
            await anyio.wait_all_tasks_blocked()
            assert {name: error.code for name, error in crowd.refused.items()} == {
                "b": "server_stopping",
                "c": "server_stopping",
            }
            await start(tasks, crowd, "d")
            assert crowd.refused["d"].status == 503
            assert crowd.inside == ["a"], "who has a place goes on"
            await crowd.leave("a")

    anyio.run(main)


def test_models_have_lines_of_their_own_and_say_when_they_are_idle() -> None:
    async def main() -> None:
        said: list[str] = []
        line = places(
            on_busy=lambda model: said.append(f"busy {model}"),
            on_idle=lambda model: said.append(f"idle {model}"),
        )
        async with line.take("m", 1, ""):
            assert not line.idle("m")
            async with line.take("other", 1, ""):
                assert said == ["busy m", "busy other"]
        assert said[2:] == ["idle other", "idle m"]
        assert line.idle("never seen")

    anyio.run(main)
