"""Whole batches over scripted replies: nothing lost, nothing twice, in any order."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason import Message, Settings
from minireason.batch.ids import Ids
from minireason.batch.jobs import Defaults, jobs
from minireason.batch.lines import Line
from minireason.batch.local import MOST_HELD, Answered, Runner
from minireason.batch.output import Writer, resume
from minireason.testing import ScriptedBackend
from tests.batch.helpers import RUN, Killed, read, run, write


def echo(messages: Sequence[Message]) -> str:
    """An answer as long as the number in the question says."""
    number = int(messages[-1]["content"].split()[-1])
    return " ".join(["word"] * (number * 7 % 5)) + f" = {number}"


def backend(max_parallel: int = 16) -> ScriptedBackend:
    return ScriptedBackend(echo, max_parallel=max_parallel)


def items(count: int) -> list[object]:
    return [
        {"id": f"q{number}", "question": f"What is {number}", "n": number}
        for number in range(count)
    ]


def test_each_line_gets_its_reply_and_keeps_its_own_keys(tmp_path: Path) -> None:
    source, out = write(tmp_path / "in.jsonl", items(20)), tmp_path / "out.jsonl"
    assert run(source, out, backend()) == {}
    lines = read(out)
    assert sorted(str(line["id"]) for line in lines) == sorted(f"q{n}" for n in range(20))
    for line in lines:
        reply = line["reply"]
        assert isinstance(reply, dict)
        assert line["id"] == f"q{line['n']}"
        assert reply["answer"].endswith(f"= {line['n']}")
        assert reply["finish_reason"] == "stop"


def test_replies_come_as_they_end_or_in_order(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", items(40))
    run(source, tmp_path / "ended.jsonl", backend())
    run(source, tmp_path / "ordered.jsonl", backend(), in_order=True)
    order = [line["n"] for line in read(tmp_path / "ordered.jsonl")]
    assert order == list(range(40))
    assert [line["n"] for line in read(tmp_path / "ended.jsonl")] != order


def test_in_order_no_more_than_some_are_held(tmp_path: Path) -> None:
    def slow_first(messages: Sequence[Message]) -> str:
        number = int(messages[-1]["content"].split()[-1])
        return "word " * (3000 if number == 0 else 1)

    source, out = write(tmp_path / "in.jsonl", items(600)), tmp_path / "out.jsonl"
    slow = ScriptedBackend(slow_first)
    started_before_the_first_ended: list[int] = []
    defaults = Defaults(Settings(), None, 1)
    values = (json.dumps(value).encode() for value in items(600))
    todo = jobs(
        (Line(number, raw) for number, raw in enumerate(values, 1)),
        defaults,
        Ids(),
        lambda *_: None,
    )
    for result in Runner(slow, in_order=True).results(todo, 4):
        if result and not started_before_the_first_ended:
            started_before_the_first_ended.append(len(slow.requests))
    assert started_before_the_first_ended == [MOST_HELD]
    run(source, out, ScriptedBackend(slow_first), in_order=True)
    assert [line["n"] for line in read(out)] == list(range(600))


def test_what_the_model_cannot_be_asked_is_told_and_the_rest_runs(tmp_path: Path) -> None:
    asked = items(9)
    asked[4] = {"question": "word " * 5000}
    source = write(tmp_path / "in.jsonl", asked)
    for in_order in (False, True):
        out = tmp_path / f"{in_order}.jsonl"
        broken = run(source, out, backend(), in_order=in_order)
        assert list(broken) == [5]
        assert "The prompt has" in broken[5]
        assert len(read(out)) == 8


def test_a_reply_that_its_own_limit_cuts_off_is_one_like_any_other(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", [{"question": "What is 3", "max_tokens": 1}])
    out = tmp_path / "out.jsonl"
    assert run(source, out, backend()) == {}
    replies = resume(out, RUN)
    assert (replies.replies, replies.cut_off) == (1, 1)
    replies.done.close()


@given(data=st.data())
def test_killed_anywhere_every_id_is_once_in_the_output(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("batch")
    count, samples = data.draw(st.integers(0, 12)), data.draw(st.integers(1, 3))
    source, out = write(folder / "in.jsonl", items(count)), folder / "out.jsonl"
    for after in data.draw(st.lists(st.integers(0, 12), max_size=4)):
        parallel, in_order = data.draw(st.integers(1, 5)), data.draw(st.booleans())
        with suppress(Killed):
            run(
                source,
                out,
                backend(),
                samples=samples,
                parallel=parallel,
                in_order=in_order,
                killed_after=after,
            )
        share = data.draw(st.integers(0, 1000))
        os.truncate(out, out.stat().st_size * share // 1000)  # as a power cut might leave it
    run(source, out, backend(), samples=samples)
    written = [(line["id"], line.get("sample", 0)) for line in read(out)]
    assert len(written) == len(set(written))
    assert set(written) == {(f"q{n}", k) for n in range(count) for k in range(samples)}


def test_a_cancelled_run_ends_at_once_and_says_that_it_is_not_finished(tmp_path: Path) -> None:
    values = (json.dumps(value).encode() for value in items(50))
    todo = jobs(
        (Line(number, raw) for number, raw in enumerate(values, 1)),
        Defaults(Settings(), None, 1),
        Ids(),
        lambda *_: None,
    )
    scripted = backend()
    runner = Runner(scripted)
    ended = 0
    for result in runner.results(todo, 4):
        if isinstance(result, Answered):
            ended += 1
            runner.cancel()
    assert 1 <= ended < 50
    assert not runner.finished
    assert scripted.running == 0


def rss_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_stays_flat_over_a_hundred_thousand_items(tmp_path: Path) -> None:
    count = 100_000

    def lines() -> Iterator[Line]:
        for number in range(1, count + 1):
            yield Line(number, b'{"id": "item %d", "question": "What is %d"}' % (number, number))

    scripted = backend()
    replies = resume(tmp_path / "out.jsonl", RUN)
    todo = jobs(lines(), Defaults(Settings(), None, 1), replies.done, lambda *_: None)
    sizes: list[int] = []
    with Writer(replies) as writer:
        for result in Runner(scripted).results(todo, 16):
            if isinstance(result, Answered):
                writer.write(result.json(numbered=False), result.reply.finish_reason)
                if not replies.replies % 10_000:
                    sizes.append(rss_bytes())
            scripted.requests.clear()  # which keeps all that it was asked
    assert replies.replies == count
    assert max(sizes) - sizes[0] < 16 * 2**20
    again = resume(tmp_path / "out.jsonl", RUN)
    assert again.replies == count
    assert rss_bytes() - sizes[-1] < 16 * 2**20
    again.done.close()
    replies.done.close()
