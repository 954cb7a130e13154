"""Files that anybody may have put there.

They are read with a bound, written whole or not at all, and private where they hold what was said.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TextIO

PRIVATE = 0o600
"""The mode of what only its owner may read.

Windows keeps of a mode only whether a file can be written; there a file in the user's own folder
is private by the folder's rights.
"""

# O_NOFOLLOW and O_NONBLOCK are POSIX. Windows has no pipes that are files, and needs a privilege
# for links.
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_BINARY = getattr(os, "O_BINARY", 0)


def is_file(path: Path | str) -> bool:
    """Whether this is an existing file.

    A path that no system allows (too long, a zero byte) is none, and not an error.
    """
    return os.path.isfile(path)


def open_regular(path: Path, most_bytes: int | None = None) -> BinaryIO:
    """Open a file for reading.

    A link is followed, and what it leads to is looked at: /dev/zero never ends, and a pipe waits
    for ever. Raises OSError also for a device, a pipe or a folder, and for a file of more than
    `most_bytes`.
    """
    handle = _opened(path, os.O_RDONLY | _NO_WAIT, 0)
    try:
        status = os.fstat(handle)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "It is a device or a pipe and not a file", str(path))
        if most_bytes is not None and status.st_size > most_bytes:
            raise _too_large(path, most_bytes)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_bytes(path: Path, most_bytes: int) -> bytes:
    """Read a whole file of at most so many bytes, whatever its size is said to be.

    Raises OSError, see `open_regular`.
    """
    with open_regular(path, most_bytes) as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise _too_large(path, most_bytes)
    return data


def open_private(path: Path, *, devices: bool = False) -> TextIO:
    """Make a new text file in UTF-8 that only its owner can read.

    With `devices` an existing device or pipe (/dev/stderr, a FIFO) is written to; an existing file
    never is. Raises OSError, FileExistsError for what is there already.
    """
    try:
        handle = _opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW, PRIVATE)
    except FileExistsError:
        if not devices:
            raise
        handle = _opened(path, os.O_WRONLY, 0)
        if stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise
    return os.fdopen(handle, "w", encoding="utf-8")


def write_whole(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Write a file in one move: the old content stays until the new one is on the disk.

    The draft lies beside it under a name that nobody can guess, and is never opened through a link:
    the folder may be shared. Raises OSError.
    """
    draft = path.with_name(f".{secrets.token_hex(8)}.draft")
    handle = _opened(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(handle)
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can; raises OSError."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def make_private(handle: int) -> None:
    """Take everybody else's rights from an open file of ours that an older version made.

    Another user's file is left alone. Windows has no such rights to take.
    """
    if not hasattr(os, "getuid"):
        return
    status = os.fstat(handle)
    if status.st_uid == os.getuid() and stat.S_ISREG(status.st_mode) and status.st_mode & 0o077:
        with suppress(OSError):  # a file system without modes
            os.fchmod(handle, status.st_mode & 0o700)


def _opened(path: Path, flags: int, mode: int) -> int:
    try:
        return os.open(path, flags | _BINARY, mode)
    except ValueError as error:  # a zero byte, or a lone surrogate
        raise OSError(errno.EINVAL, f"No such path can be ({error})", str(path)) from None


def _too_large(path: Path, most_bytes: int) -> OSError:
    most = f"{most_bytes / 2**20:,.0f} MiB" if most_bytes >= 2**20 else f"{most_bytes:,} bytes"
    return OSError(errno.EFBIG, f"It has more than {most}", str(path))
