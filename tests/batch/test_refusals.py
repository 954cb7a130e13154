"""A batch of which every line would be refused ends early, and no other one does."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minireason import ContextFull, Message, Reasoner, Settings, UsageError
from minireason.backends.pool import Refused
from minireason.batch.jobs import Defaults, Item, Job
from minireason.batch.local import Answered, Result, Runner
from minireason.batch.refusals import IN_A_ROW, QUESTION, Refusals
from minireason.testing import ScriptedBackend
from tests.backends.remote.conftest import connected, misbehaving
from tests.backends.remote.misbehaving import Answer, Misbehaving, chunk, refused, reply
from tests.batch.helpers import read, run, write

__all__ = ["connected", "misbehaving"]

Make = Callable[..., Misbehaving]
Connect = Callable[..., Reasoner]
SYSTEM = "word " * 30


def refusing(what: str) -> ScriptedBackend:
    """A backend that refuses questions in which this stands, each with a number of its own."""

    def script(messages: Sequence[Message]) -> str | UsageError:
        if what in messages[-1]["content"]:
            return UsageError(f"Request {len(backend.requests)} is refused.")
        return "Yes."

    backend = ScriptedBackend(script)
    return backend


def results(
    backend: ScriptedBackend, questions: list[str], system: str | None = None, *, in_order: bool
) -> list[Result]:
    """What comes of these questions."""

    def jobs() -> Iterator[Job]:
        for number, question in enumerate(questions, 1):
            messages = [Message(role="system", content=system)] if system else []
            messages.append(Message(role="user", content=question))
            yield Job(Item(number, number, tuple(messages), Settings()), 0, Settings())

    refusals = Refusals(jobs(), Defaults(Settings(), system, 1))
    came = refusals.results(Runner(backend, in_order=in_order), 4)
    return [result for result in came if result]


BLOCKS = st.lists(
    st.tuples(st.sampled_from(["good", "bad"]), st.integers(1, 3 * IN_A_ROW)), max_size=6
)


@settings(max_examples=30)
@given(blocks=BLOCKS, in_order=st.booleans())
def test_lines_that_are_refused_for_themselves_are_each_told_once(
    blocks: list[tuple[str, int]], in_order: bool
) -> None:
    questions = [kind for kind, count in blocks for _ in range(count)]
    came = results(refusing("bad"), questions, in_order=in_order)
    numbers = [result.job.item.number for result in came]
    assert sorted(numbers) == list(range(1, len(questions) + 1))
    assert not in_order or numbers == sorted(numbers)
    for result in came:
        kind = questions[result.job.item.number - 1]
        assert isinstance(result, Refused if kind == "bad" else Answered)


def test_our_question_is_asked_ever_less_often() -> None:
    backend, count = refusing("bad"), 50 * IN_A_ROW
    assert len(results(backend, ["bad"] * count, in_order=False)) == count
    asked = [request.messages[-1]["content"] for request in backend.requests]
    assert asked.count(QUESTION) == 5


@pytest.mark.parametrize("in_order", [False, True])
@pytest.mark.parametrize("answered", [0, 3 * IN_A_ROW])
def test_where_everything_is_refused_no_line_is_told(in_order: bool, answered: int) -> None:
    def script(_messages: Sequence[Message]) -> str | UsageError:
        number = len(backend.requests)
        return "Yes." if number <= answered else UsageError(f"Request {number} is refused.")

    backend = ScriptedBackend(script)
    with pytest.raises(
        UsageError, match=r"^Every question is refused \(Request \d+ is refused\); m"
    ):
        results(backend, ["?"] * 10_000, in_order=in_order)
    assert len(backend.requests) < answered + 2 * IN_A_ROW


def test_another_reason_than_that_of_the_lines_ends_nothing() -> None:
    def script(messages: Sequence[Message]) -> UsageError:
        own = messages[-1]["content"] == QUESTION
        return UsageError("It is too short." if own else "It is too long.")

    assert len(results(ScriptedBackend(script), ["?"] * 200, in_order=False)) == 200


@pytest.mark.slow
def test_long_lines_that_are_refused_are_not_held() -> None:
    """Up to 256 of them wait here for an answer to our question."""
    line_chars, count = 2**15, 7 * IN_A_ROW

    def jobs() -> Iterator[Job]:
        for number in range(1, count + 1):
            messages = (Message(role="user", content="word " * (line_chars // 5)),)
            yield Job(Item(number, number, messages, Settings()), 0, Settings())

    refusals = Refusals(jobs(), Defaults(Settings(), None, 1))
    tracemalloc.start()
    came = refusals.results(Runner(ScriptedBackend("Yes.", n_ctx=20)), 4)
    numbers = [result.job.item.number for result in came if result]
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert numbers == list(range(1, count + 1))
    assert most_bytes < 2 * IN_A_ROW * line_chars


def test_a_system_prompt_of_the_run_that_is_too_long() -> None:
    backend = ScriptedBackend("Yes.", n_ctx=20)
    questions = ["it " * (number % 3 + 1) for number in range(10_000)]
    with pytest.raises(ContextFull, match=r"refused \(The prompt has 38 tokens and the context"):
        results(backend, questions, SYSTEM, in_order=False)


def test_system_prompts_of_lines_that_are_too_long(tmp_path: Path) -> None:
    asked = [{"question": "?", "system": SYSTEM} for _ in range(200)]
    source, backend = write(tmp_path / "in.jsonl", asked), ScriptedBackend("Yes.", n_ctx=20)
    assert len(run(source, tmp_path / "out.jsonl", backend)) == 200


def test_settings_of_lines_that_a_server_refuses_end_nothing(
    tmp_path: Path, misbehaving: Make, connected: Connect
) -> None:
    def answer(body: dict[str, Any]) -> Answer:
        is_hot = body.get("temperature", 0) > 1
        return refused(400, "too hot") if is_hot else reply(chunk(content="Yes."))

    asked: list[dict[str, object]] = [{"question": f"What is {n}?"} for n in range(160)]
    for line in asked[:150]:
        line["temperature"] = 2
    server, out = misbehaving(*[answer] * 400), tmp_path / "out.jsonl"
    left_out = run(write(tmp_path / "in.jsonl", asked), out, connected(server.url).backend)
    assert sorted(left_out) == list(range(1, 151))
    assert len(read(out)) == 10
    assert len(server.bodies) == 161, "and one question of ours"


def test_a_server_that_loses_its_model_ends_the_run_which_goes_on(
    tmp_path: Path, misbehaving: Make, connected: Connect
) -> None:
    loaded, backend_asked = threading.Event(), []
    loaded.set()

    def answer(body: dict[str, Any]) -> Answer:
        backend_asked.append(body)
        if len(backend_asked) == 100:
            loaded.clear()
        if loaded.is_set():
            return reply(chunk(content="Yes."))
        return refused(400, f"No models loaded (request {len(backend_asked)})")

    backend = connected(misbehaving(*[answer] * 2000).url).backend
    source = write(tmp_path / "in.jsonl", [{"question": f"What is {n}?"} for n in range(500)])
    out = tmp_path / "out.jsonl"
    with pytest.raises(UsageError, match=r"Every question is refused \(127.* No models loaded"):
        run(source, out, backend)
    assert 95 < len(read(out)) < 100
    assert len(backend_asked) < 100 + 2 * IN_A_ROW
    loaded.set()
    assert run(source, out, backend) == {}
    assert sorted(int(str(line["id"])) for line in read(out)) == list(range(1, 501))
