"""What is on the disk: whole lines, whatever happened."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from minireason import UsageError
from minireason.batch.output import Writer, check_paths, resume, run_file
from tests.batch.helpers import RUN, read


def line(name: str | int, finish: str = "stop") -> dict[str, object]:
    return {"id": name, "reply": {"answer": "4", "finish_reason": finish}}


def add(out: Path, *names: str | int, finish: str = "stop") -> None:
    replies = resume(out, RUN)
    with Writer(replies) as writer:
        for name in names:
            writer.write(line(name, finish), finish)
    replies.done.close()


def test_a_torn_line_is_cut_off_and_a_line_without_its_end_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    add(out, "a", "b")
    whole = out.read_bytes()
    for kept in range(len(whole) + 1):
        out.write_bytes(whole[:kept])
        add(out, "c")
        names = [value["id"] for value in read(out)]
        assert names == [*["a", "b"][: names.index("c")], "c"]
        complete = whole[:kept].count(b"}}")
        assert len(names) == complete + 1, "no whole line is lost"


def test_what_there_is_is_counted(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    add(out, "a", 1)
    add(out, "b", finish="length")
    with out.open("a") as file:
        file.write('nonsense\n{"id": "a", "reply": {}}\n{"id": [], "reply": {}}\n')
    replies = resume(out, RUN)
    assert (replies.replies, replies.cut_off, replies.damaged) == (3, 1, 3)
    replies.done.close()


def test_another_run_is_refused_and_its_replies_stay(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    run = replace(RUN, settings={"temperature": 0.6})
    with Writer(resume(out, run)) as writer:
        writer.write(line("a"), "stop")
    before = out.read_bytes()
    for other, said in (
        (replace(run, settings={"temperature": 1.0}), "its temperature is 0.6, this one's 1.0"),
        (replace(run, input_sha256="x"), "its input was another"),
        (replace(run, model="other"), 'its model is "scripted", this one\'s "other"'),
        (replace(run, seed=2), "its seed is 1, this one's 2"),
    ):
        with pytest.raises(UsageError, match=f"belongs to another run .{said}.; name another"):
            resume(out, other)
    assert resume(out, replace(run, seed=None)).run.seed == 1
    assert out.read_bytes() == before


def test_a_file_of_somebody_elses_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "notes.txt"
    out.write_text("mine\n")
    for beside in (None, "nonsense", '{"minireason_batch": 2, "run": {}}'):
        if beside is not None:
            run_file(out).write_text(beside)
        with pytest.raises(UsageError, match=r"notes.txt.run beside it does not say of which run"):
            resume(out, RUN)
    assert out.read_text() == "mine\n"


@pytest.mark.parametrize("there", ["", "my own notes", '{"run": {}}'])
def test_a_file_of_somebody_elses_is_not_written_over(tmp_path: Path, there: str) -> None:
    out = tmp_path / "out.jsonl"
    run_file(out).write_text(there)
    with pytest.raises(UsageError, match="would be written over"):
        resume(out, RUN)
    assert run_file(out).read_text() == there
    assert not out.exists()


def test_an_output_that_was_removed_begins_again(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    add(out, "a")
    out.unlink()
    other = replace(RUN, seed=2)
    with Writer(resume(out, other)) as writer:
        writer.write(line("b"), "stop")
    assert resume(out, other).replies == 1


def test_paths_that_cannot_be(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    with pytest.raises(UsageError, match="cannot be read"):
        check_paths(source, tmp_path / "out.jsonl")
    source.write_text("{}\n")
    for out, said in (
        (source, "is what is read"),
        (tmp_path, "is no file that lines can be added to"),
        (tmp_path / "none" / "out.jsonl", "There is no folder"),
    ):
        with pytest.raises(UsageError, match=said):
            check_paths(source, out)
    beside = tmp_path / "x.run"
    beside.write_text("{}\n")
    with pytest.raises(UsageError, match="is what is read"):
        check_paths(beside, tmp_path / "x")
    with pytest.raises(UsageError, match="none from standard input"):
        check_paths(Path("-"), tmp_path / "out.jsonl")
    check_paths(source, tmp_path / "out.jsonl")


def test_a_run_of_before_there_were_forms_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    add(out, "a")
    kept = json.loads(run_file(out).read_text())
    del kept["run"]["form"]
    run_file(out).write_text(json.dumps(kept))
    assert resume(out, RUN).replies == 1
