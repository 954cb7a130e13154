"""Which files were used before: known by their content, whatever lies in opened.json."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from minireason.host import paths
from minireason.models import known_good

pytestmark = pytest.mark.first_start


def written(path: Path, data: bytes, like: Path | None = None) -> Path:
    """A file with this content, and the time of change of another."""
    changed_ns = like.stat().st_mtime_ns if like else None
    path.write_bytes(data)
    if changed_ns is not None:
        os.utime(path, ns=(changed_ns, changed_ns))
    return path


def test_remembered_with_how_they_were_loaded(tmp_path: Path) -> None:
    path = written(tmp_path / "a.gguf", b"1")
    assert not known_good.was_opened(path)
    known_good.remember_opened(path)
    assert known_good.was_opened(path)
    assert not known_good.was_opened(path, repack=True), "only its plain weights were"
    known_good.remember_opened(path, repack=True)
    assert known_good.was_opened(path, repack=True)
    assert known_good.was_opened(path)


@pytest.mark.parametrize("at", [0, 2**20, known_good.HEADER_BYTES - 1, -1])
def test_other_content_of_the_same_size_and_time(tmp_path: Path, at: int) -> None:
    data = bytearray(known_good.HEADER_BYTES + 10_000)
    path = written(tmp_path / "a.gguf", data)
    known_good.remember_opened(path)
    data[at] ^= 1
    assert not known_good.was_opened(written(path, data, like=path))
    data[at] ^= 1
    assert known_good.was_opened(written(path, data, like=path))


def test_a_large_file_is_sampled(tmp_path: Path) -> None:
    path = tmp_path / "large.gguf"
    with path.open("wb") as file:
        file.truncate(2**30)
    known_good.remember_opened(path)
    changed_ns = path.stat().st_mtime_ns
    with path.open("r+b") as file:
        file.seek(-10, 2)
        file.write(b"x")
    os.utime(path, ns=(changed_ns, changed_ns))
    assert not known_good.was_opened(path)


def test_all_parts_count(tmp_path: Path) -> None:
    first, second = (tmp_path / f"a-0000{number}-of-00002.gguf" for number in (1, 2))
    written(first, b"1" * 1000)
    written(second, b"2" * 1000)
    known_good.remember_opened(first)
    assert known_good.was_opened(first)
    written(second, b"3" * 1000, like=second)
    assert not known_good.was_opened(first)
    second.unlink()
    known_good.remember_opened(first)
    assert not known_good.was_opened(first)


def test_what_is_remembered_is_what_was_tried(tmp_path: Path) -> None:
    """A file that is replaced while it is tried is not known afterwards."""
    path = written(tmp_path / "a.gguf", b"1")
    tried = known_good.identity(path)
    written(path, b"2", like=path)
    known_good.remember(tried, repack=False)
    assert not known_good.was_opened(path)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        '{"not": "a list"}',
        "[" * 100_000,
        f"[{'9' * 400}, 1e999, -Infinity, NaN, {'9' * 5000}]",
        '[["a.gguf", 1, 2, false], ["a.gguf", {}, false], [[], [], []], null, "x"]',
        '[["\\ud800", "\\ud800", true]]',
        b"\xff\xfe",
        b" " * 5_000_000,
    ],
)
def test_a_damaged_note_means_that_files_are_tried_again(
    tmp_path: Path, content: str | bytes
) -> None:
    path = written(tmp_path / "a.gguf", b"1")
    paths.data_dir().mkdir(parents=True, exist_ok=True)
    note = paths.data_dir() / "opened.json"
    note.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert not known_good.was_opened(path)
    known_good.remember_opened(path)
    assert known_good.was_opened(path)


def fifo(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("make", [Path.mkdir, fifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_not_read(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = written(tmp_path / "a.gguf", b"1")
    paths.data_dir().mkdir(parents=True, exist_ok=True)
    make(paths.data_dir() / "opened.json")
    assert not known_good.was_opened(path)
    known_good.remember_opened(path)


def test_the_note_of_before_is_read_as_nothing_and_replaced(tmp_path: Path) -> None:
    path = written(tmp_path / "a.gguf", b"1")
    status = path.stat()
    paths.data_dir().mkdir(parents=True, exist_ok=True)
    note = paths.data_dir() / "opened.json"
    note.write_text(json.dumps([[str(path), status.st_size, status.st_mtime_ns, False]]))
    assert not known_good.was_opened(path)
    known_good.remember_opened(path)
    assert known_good.was_opened(path)
    assert len(json.loads(note.read_text())) == 1


def test_notes_do_not_pile_up(tmp_path: Path) -> None:
    paths.data_dir().mkdir(parents=True, exist_ok=True)
    note = paths.data_dir() / "opened.json"
    note.write_text(json.dumps([[f"/{number}", "digest", False] for number in range(1000)]))
    known_good.remember_opened(written(tmp_path / "a.gguf", b"1"))
    assert len(json.loads(note.read_text())) == 200
    assert [path.name for path in paths.data_dir().iterdir()] == ["opened.json"]


def test_a_home_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path / "file", b"not a directory")
    monkeypatch.setenv("MINIREASON_HOME", os.fspath(file))
    known_good.remember_opened(file)
    assert not known_good.was_opened(file)
