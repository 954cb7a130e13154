"""Files that one process at a time may write: a model that is fetched, a session, an evaluation."""

from __future__ import annotations

import errno
import hashlib
import os
from contextlib import suppress
from pathlib import Path

import filelock

from minireason.host import paths


class FileLock:
    """A lock between processes that lasts until it is released or its process ends.

    It is a file of its own; its folder is made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = filelock.FileLock(path, thread_local=False)

    def acquire(self, *, wait: bool = False) -> bool:
        """Take the lock; False if another process has it, unless it is to `wait` for that one.

        Raises OSError where no lock can be made: in a folder that cannot be written, or on a file
        system without locks.
        """
        try:
            self._lock.acquire(timeout=-1 if wait else 0)
        except filelock.Timeout:
            return False
        except NotImplementedError:
            problem = os.strerror(errno.ENOLCK)
            raise OSError(errno.ENOLCK, problem, str(self.path)) from None
        return True

    def release(self, *, remove: bool = False) -> None:
        """Let others have it, if it is ours; with `remove` no file of it is left."""
        if not self._lock.is_locked:
            return
        if remove:
            with suppress(OSError):  # Windows keeps an open file
                self.path.unlink(missing_ok=True)
        self._lock.release()


def of_file(path: Path) -> FileLock:
    """The lock of a file that one run at a time may write; it lies in the data directory.

    Raises OSError where that cannot be made.
    """
    folder = paths.data_dir() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / hashlib.sha256(os.path.realpath(path).encode()).hexdigest()[:32])
