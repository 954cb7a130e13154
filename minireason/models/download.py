"""Bytes from the Hub into a .part file: hashed as they come, going on where an earlier try was killed."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

from minireason.errors import DownloadFailed, Offline, StoreError
from minireason.models import hub
from minireason.models.hub import RemoteFile, TryAgain

WAITS_S = (1.0, 2.0, 4.0, 8.0)
"""Pauses between tries that brought nothing; after the last the error is final."""

LONGEST_WAIT_S = 60.0
_CHUNK = 2**20

T = TypeVar("T")


def patiently(attempt: Callable[[], T], *, reached: bool = False) -> T:
    """The result of an attempt that is repeated while it raises TryAgain; a host never `reached` before fails at once."""
    for wait_s in (*WAITS_S, None):
        try:
            return attempt()
        except TryAgain as trouble:
            if wait_s is None or (isinstance(trouble.error, Offline) and not reached):
                raise trouble.error from None
            time.sleep(min(LONGEST_WAIT_S, max(wait_s, trouble.wait_s)))
    raise AssertionError("the last wait is None")


def describe(repo: str, file: str, revision: str | None) -> RemoteFile:
    """See `hub.describe`; passing trouble is waited out. Raises DownloadFailed or Offline."""
    return patiently(lambda: hub.describe(repo, file, revision))


def fetch(remote: RemoteFile, part: Path, on_bytes: Callable[[int], None]) -> str:
    """Complete `part` and return the sha256 of the whole; `on_bytes` gets how many bytes there are.

    Passing trouble is waited out as long as bytes still come in between. Raises DownloadFailed, Offline or OSError.
    """
    descriptor = os.open(
        part,
        os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0),
        0o644,
    )
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        transfer = _Transfer(remote, file, on_bytes)
        while transfer.have < remote.bytes:
            before = transfer.have
            try:
                patiently(transfer.more, reached=True)
            except StoreError:
                if transfer.have == before:
                    raise
        os.fsync(file.fileno())
    return transfer.digest.hexdigest()


class _Transfer:
    """The state of one file on its way: how many bytes there are, and their hash so far."""

    def __init__(self, remote: RemoteFile, file: BinaryIO, on_bytes: Callable[[int], None]) -> None:
        self._remote, self._file, self._on_bytes = remote, file, on_bytes
        self.have, self.digest = 0, hashlib.sha256()
        if os.fstat(file.fileno()).st_size > remote.bytes:
            self._restart()
        while chunk := file.read(_CHUNK):
            self._count(chunk)

    def more(self) -> None:
        """One request for all that is missing; raises TryAgain where another one may bring the rest."""
        with hub.ranged(self._remote, self.have) as response:
            if self.have and response.status_code != 206:
                self._restart()
            for chunk in response.iter_raw():
                if self.have + len(chunk) > self._remote.bytes:
                    raise DownloadFailed(
                        f"{self._remote.repo}/{self._remote.file}: the server sends more bytes than it said; pull again."
                    )
                self._file.write(chunk)
                self._count(chunk)
        if self.have < self._remote.bytes:
            early = f"the server ended {self._remote.bytes - self.have:,} bytes early; pull again."
            raise TryAgain(DownloadFailed(f"{self._remote.repo}/{self._remote.file}: {early}"))

    def _restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self.have, self.digest = 0, hashlib.sha256()

    def _count(self, chunk: bytes) -> None:
        self.digest.update(chunk)
        self.have += len(chunk)
        self._on_bytes(self.have)


def after(before: int, on_bytes: Callable[[int], None]) -> Callable[[int], None]:
    """What to tell of one file's bytes where `on_bytes` counts those of earlier files too."""
    return lambda have: on_bytes(before + have)


def sha256(path: Path, on_bytes: Callable[[int], None] = lambda have: None) -> str:
    """The hash of a file on the disk; `on_bytes` gets how many bytes were read."""
    digest, have = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            have += len(chunk)
            on_bytes(have)
    return digest.hexdigest()
