"""Lines that survive: torn ones, damaged ones, full disks."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.host.journal import Journal, read

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
