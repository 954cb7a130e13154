"""Files that anybody may have put there."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from minireason.host import files


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_a_device_a_pipe_and_a_folder_are_not_read(tmp_path: Path) -> None:
    link, pipe = tmp_path / "link", tmp_path / "pipe"
    link.symlink_to("/dev/zero")
    os.mkfifo(pipe)
    for path in (link, pipe, tmp_path, Path("/dev/null")):
        with pytest.raises(OSError, match=r"device|directory"):
            files.read_bytes(path, 100)


def test_no_more_is_read_than_was_expected(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert files.read_bytes(path, 5) == b"12345"
    with pytest.raises(OSError, match="more than 4 bytes") as caught:
        files.read_bytes(path, 4)
    assert caught.value.errno == errno.EFBIG
    with pytest.raises(OSError, match="more than"):  # says that it has 0 bytes
        files.read_bytes(Path("/proc/self/environ"), 1)


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "\ud800"])
def test_a_path_that_no_system_allows_is_an_os_error(tmp_path: Path, name: str) -> None:
    assert not files.is_file(tmp_path / name)
    with pytest.raises(OSError, match=r"\[Errno"):
        files.read_bytes(tmp_path / name, 1)


def test_a_private_file_is_new_and_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "private"
    with files.open_private(path) as file:
        file.write("é")
    assert mode(path) == 0o600
    assert path.read_bytes() == "é".encode()
    for devices in (False, True):
        with pytest.raises(FileExistsError):
            files.open_private(path, devices=devices)
    assert path.read_bytes() == "é".encode()


def test_a_private_file_is_never_opened_through_a_link(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    for target in (precious, tmp_path / "not there"):
        link = tmp_path / f"to {target.name}"
        link.symlink_to(target)
        for devices in (False, True):
            with pytest.raises(OSError, match=r"\[Errno"):
                files.open_private(link, devices=devices)
    assert precious.read_text() == "mine"
    assert not (tmp_path / "not there").exists()


def test_a_device_is_written_to_where_that_is_meant() -> None:
    with files.open_private(Path("/dev/null"), devices=True) as file:
        file.write("gone")
    with pytest.raises(FileExistsError):
        files.open_private(Path("/dev/null"))


def test_a_draft_in_a_shared_folder_follows_no_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who guesses its name finds it taken, and nothing is written through a link there."""
    precious = tmp_path / "precious"
    precious.write_text("mine")
    monkeypatch.setattr(files.secrets, "token_hex", lambda size: "guessed")
    (tmp_path / ".guessed.draft").symlink_to(precious)
    with pytest.raises(FileExistsError):
        files.write_whole(tmp_path / "file", b"secret")
    assert precious.read_text() == "mine"


def test_a_file_is_replaced_whole_with_the_mode_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a"
    files.write_whole(path, b"1")
    assert mode(path) == 0o644
    files.write_whole(path, b"2", files.PRIVATE)
    assert (path.read_bytes(), mode(path)) == (b"2", 0o600)
    (tmp_path / "folder" / "full").mkdir(parents=True)
    with pytest.raises(OSError, match="folder"):
        files.write_whole(tmp_path / "folder", b"3")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a", "folder"], "no draft is left"
