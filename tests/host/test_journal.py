"""Lines that survive: torn ones, damaged ones, full disks."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason import StoreError, UsageError
from minireason.host.journal import MAX_LINE_BYTES, Appender, Journal, read
from minireason.host.lock import of_file

OBJECTS = st.lists(
    st.dictionaries(st.text(max_size=5), st.one_of(st.integers(), st.text(max_size=9), st.none())),
    min_size=1,
    max_size=5,
)


@given(objects=OBJECTS, cut=st.integers(1, 200))
def test_a_torn_line_is_left_out_and_then_cut_off(
    objects: list[dict[str, object]], cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j.jsonl"
    Journal(path).append(objects)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    kept = list(read(path))
    assert [line.value for line in kept] == objects[: len(kept)]
    end = kept[-1].end if kept else 0
    assert whole.startswith(path.read_bytes()[:end])
    Journal(path, end).append([{"new": 1}])
    assert [line.value for line in read(path)] == [*objects[: len(kept)], {"new": 1}]


def test_damaged_lines_keep_their_places(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    path.write_bytes(b'{"a": 1}\nnonsense\n[1]\n\xff\n{"b": 2}\n')
    assert [line.value for line in read(path)] == [{"a": 1}, None, None, None, {"b": 2}]


def test_what_could_not_be_written_is_written_with_the_next(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "j.jsonl"
    (tmp_path / "folder").write_text("a file is in the way")
    journal = Journal(path)
    with pytest.raises(OSError, match="folder"):
        journal.append([{"a": 1}])
    (tmp_path / "folder").unlink()
    journal.append([{"b": 2}])
    assert [line.value for line in read(path)] == [{"a": 1}, {"b": 2}]


def test_an_existing_file_is_never_taken_for_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    path.write_text("precious\n")
    with pytest.raises(FileExistsError):
        Journal(path).append([{"a": 1}])
    assert path.read_text() == "precious\n"


def values(path: Path) -> list[dict[str, object] | None]:
    return [line.value for line in read(path)]


def test_what_was_appended_is_there_at_once_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "j.jsonl"
    with Appender(path, None, "lines") as appender:
        assert path.read_bytes() == b""
        appender.append({"head": 1}, {"a": 1})
        assert values(path) == [{"head": 1}, {"a": 1}]
    whole = path.read_bytes()
    for kept in range(len(whole) + 1):
        path.write_bytes(whole[:kept])
        lines = list(read(path))
        with Appender(path, lines[-1].end if lines else 0, "lines") as appender:
            appender.append({"b": 2})
        assert values(path) == [*[line.value for line in lines], {"b": 2}]
    with pytest.raises(StoreError, match=r"The lines cannot be written to .*File exists"):
        Appender(path, None, "lines")


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege")
def test_a_link_may_lead_to_where_the_lines_are_to_be(tmp_path: Path) -> None:
    link, there = tmp_path / "link.jsonl", tmp_path / "large" / "j.jsonl"
    link.symlink_to(there)
    with Appender(link, None, "lines") as appender:
        appender.append({"a": 1})
    assert values(there) == values(link) == [{"a": 1}]


@pytest.mark.skipif(os.name == "nt", reason="no limits")
def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    import resource

    path = tmp_path / "j.jsonl"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Appender(path, None, "lines") as appender:
        appender.append({"a": 1})
        size = path.stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, before[1]))
        try:
            with pytest.raises(StoreError, match=r"cannot be written to .*run the same command"):
                appender.append({"b": "more than ten bytes"})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert path.stat().st_size == size, "nothing of the line is left"
        appender.append({"c": 3})
    assert values(path) == [{"a": 1}, {"c": 3}]


MOVED = pytest.mark.skipif(os.name == "nt", reason="nobody moves a file that is open")


@pytest.mark.parametrize(
    "act",
    ["cut", "added to", pytest.param("moved", marks=MOVED), pytest.param("replaced", marks=MOVED)],
)
def test_what_somebody_else_does_to_the_file_is_told(tmp_path: Path, act: str) -> None:
    path = tmp_path / "j.jsonl"

    def interfere() -> None:
        if act == "cut":
            os.truncate(path, 0)
        elif act == "added to":
            with Appender(path, path.stat().st_size, "lines") as other:
                other.append({"b": 2})
        else:
            path.rename(tmp_path / "moved.jsonl")
            if act == "replaced":
                path.write_bytes((tmp_path / "moved.jsonl").read_bytes())

    def run(more: list[dict[str, object]]) -> None:
        with Appender(path, None, "lines") as appender:
            appender.append({"a": 1})
            interfere()
            for one in more:
                appender.append(one)

    for more in ([], [{"c": 3}]):  # which is seen at the end at the latest
        path.unlink(missing_ok=True)
        with pytest.raises(StoreError, match=r"The lines cannot be written to .*j\.jsonl \("):
            run(more)  # type: ignore[arg-type]
        assert {"c": 3} not in values(path if path.exists() else tmp_path / "moved.jsonl")


def test_a_line_that_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    with Appender(path, None, "lines") as appender:
        appender.append({"a": "x" * (MAX_LINE_BYTES - 10)})
        with pytest.raises(UsageError, match="longer than 64 MiB"):
            appender.append({"b": 2}, {"a": "x" * (MAX_LINE_BYTES - 9)})
        appender.append({"c": 3})
    assert [value and len(value) for value in values(path)] == [1, 1]


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege")
def test_a_link_to_itself(tmp_path: Path) -> None:
    loop = tmp_path / "loop.jsonl"
    loop.symlink_to(loop)
    with pytest.raises(StoreError, match="cannot be written"):
        Appender(loop, None, "lines")
    assert of_file(loop).acquire()


def test_lines_are_brought_to_the_disk_while_no_more_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written is synced soon, though nobody calls: a step of the model may take long."""
    synced, real = threading.Event(), os.fsync
    with Appender(tmp_path / "j.jsonl", None, "lines") as appender:

        def fsync(handle: int) -> None:
            real(handle)
            synced.set()

        monkeypatch.setattr(os, "fsync", fsync)
        appender.append({"a": 1})
        assert synced.wait(60)


def test_a_disk_that_fails_in_between_is_told_with_the_next_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = threading.Event()
    appender = Appender(tmp_path / "j.jsonl", None, "lines")

    def fsync(_handle: int) -> None:
        failed.set()
        raise OSError(5, "Input/output error")

    def go_on() -> None:
        with appender:
            monkeypatch.setattr(os, "fsync", fsync)
            appender.append({"a": 1})
            assert failed.wait(60)

    with pytest.raises(StoreError, match="Input/output error"):
        go_on()
