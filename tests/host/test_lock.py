"""A lock between processes: who has it, who waits, and what becomes of it when its process dies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import filelock
import pytest

from minireason.host.lock import FileLock

HOLD = """
import sys
from pathlib import Path
from minireason.host.lock import FileLock
lock = FileLock(Path(sys.argv[1]))
print(lock.acquire(), flush=True)
sys.stdin.read()
"""


def holder(path: Path) -> subprocess.Popen[str]:
    """A process that has the lock until its standard input is closed."""
    command = [sys.executable, "-c", HOLD, str(path)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=0
    )
    assert process.stdout
    assert process.stdout.readline() == "True\n"
    return process


def test_one_process_at_a_time_has_it(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    with holder(lock.path) as other:
        assert not lock.acquire()
        lock.release(remove=True)
        assert lock.path.exists(), "it is another's"
        other.communicate()
        assert lock.acquire(wait=True)
    lock.release()


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    with holder(tmp_path / "lock") as other:
        other.kill()
        other.wait()
        assert FileLock(tmp_path / "lock").acquire()


def test_nothing_is_left_of_a_lock_that_is_removed(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    assert lock.acquire()
    lock.release(remove=True)
    assert list(tmp_path.iterdir()) == []


def test_where_no_lock_can_be_made_is_an_error_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError):  # noqa: PT011 - which one depends on the system
        FileLock(tmp_path / "file" / "lock").acquire()

    def refuse(*_: object, **__: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    with pytest.raises(OSError, match="locks"):
        FileLock(tmp_path / "lock").acquire()
