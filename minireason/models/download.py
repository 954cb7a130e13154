"""Bytes from the Hub into a .part file.

They are hashed as they come, and go on where an earlier try was killed.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from minireason.errors import DownloadFailed, Offline
from minireason.host import files, state
from minireason.models import hub
from minireason.models.hub import Answer, RemoteFile, TryAgain

WAITS_S = (1.0, 2.0, 4.0, 8.0)
"""Pauses between tries that brought nothing; after the last the error is final."""

LONGEST_WAIT_S = 60.0

SHORT_BYTES = 2**16
MOST_SHORT_TRIES = 20
"""Tries that may bring something, but fewer than SHORT_BYTES, in one file.

Else a byte a request would be fetched for ever.
"""

MOST_RESTARTS = 5
"""How often a file may start over, because the server has no ranges, or changes what it sends."""

_CHUNK = 2**20
_MOST_OF_A_NAME = 240


def describe(repo: str, file: str, revision: str | None) -> RemoteFile:
    """See `hub.describe`; passing trouble is waited out. Raises DownloadFailed or Offline.

    A host that was never reached fails at once.
    """
    patience = _Patience()
    while True:
        try:
            return hub.describe(repo, file, revision)
        except TryAgain as trouble:
            if isinstance(trouble.error, Offline):
                raise trouble.error from None
            patience.wait(trouble, 0)


@dataclass(frozen=True, slots=True)
class Part:
    """A file on its way."""

    path: Path
    """Where it lies while it is not whole."""

    whole: Path
    """Where it lies then."""

    tag: Path
    """The file with the ETag that its bytes came with."""

    @classmethod
    def of(cls, folder: Path, remote: RemoteFile) -> Part:
        """The part of a file in a folder.

        A name that leaves no room for a suffix is shortened to its hash.
        """
        whole = folder / Path(remote.file).name
        stem = whole.name if len(whole.name.encode()) <= _MOST_OF_A_NAME else _digest(whole.name)
        return cls(folder / f"{stem}.part", whole, folder / f"{stem}.etag")

    def finish(self) -> None:
        """Give it its own name, now that it is whole and checked."""
        self.path.replace(self.whole)
        self.tag.unlink(missing_ok=True)

    def drop(self) -> None:
        """Forget what there is."""
        for path in (self.path, self.whole, self.tag):
            path.unlink(missing_ok=True)


def fetch(remote: RemoteFile, part: Part, on_bytes: Callable[[int], None]) -> str:
    """Complete a part and return the sha256 of the whole; `on_bytes` gets how many bytes there are.

    Passing trouble is waited out as long as bytes still come in between. Raises DownloadFailed,
    Offline or OSError.
    """
    if part.whole.exists():  # a try that ended between this file and the next
        part.whole.replace(part.path)
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(part.path, flags, 0o644)
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        transfer, patience = _Transfer(remote, file, part.tag, on_bytes), _Patience()
        while transfer.have < remote.bytes:
            before = transfer.have
            try:
                transfer.more()
            except TryAgain as trouble:
                patience.wait(trouble, transfer.have - before)
        os.fsync(file.fileno())
    return transfer.digest.hexdigest()


class _Patience:
    """How much trouble is waited out.

    A few tries in a row that bring nothing, and some more that bring next to nothing.
    """

    def __init__(self) -> None:
        self._idle = self._short = 0

    def wait(self, trouble: TryAgain, brought_bytes: int) -> None:
        """Wait until the next try is due; raises the trouble's error if there is to be none."""
        self._idle = 0 if brought_bytes > 0 else self._idle + 1
        self._short += 0 < brought_bytes < SHORT_BYTES
        if self._idle > len(WAITS_S):
            raise trouble.error from None
        if self._short > MOST_SHORT_TRIES:
            problem = f"it breaks off after a few bytes each time ({self._short} times)"
            raise DownloadFailed(f"{trouble.error} {problem.capitalize()}.") from None
        time.sleep(min(LONGEST_WAIT_S, max(WAITS_S[max(0, self._idle - 1)], trouble.wait_s)))


class _Transfer:
    """The state of one file on its way: how many bytes there are, and their hash so far."""

    def __init__(
        self, remote: RemoteFile, file: BinaryIO, tag: Path, on_bytes: Callable[[int], None]
    ) -> None:
        self._remote, self._file, self._tag, self._on_bytes = remote, file, tag, on_bytes
        self._name = f"{remote.repo}/{remote.file}"
        self.have, self.digest = 0, hashlib.sha256()
        self._restarts = 0
        self._etag = str(state.read_text(tag).value or "")
        if os.fstat(file.fileno()).st_size > remote.bytes:
            self._forget()
        while chunk := file.read(_CHUNK):
            self._count(chunk)

    def more(self) -> None:
        """Send one request for all that is missing; raises TryAgain where another may bring it.

        An answer that does not go on where the last one ended, or is of another file, is not used:
        it starts over.
        """
        with hub.ranged(self._remote, self.have) as response:
            if not self._goes_on(Answer.of(response)):
                return
            for chunk in response.iter_raw():
                if self.have + len(chunk) > self._remote.bytes:
                    raise self._failed("sends more bytes than it said; pull again")
                self._file.write(chunk)
                self._count(chunk)
        if self.have < self._remote.bytes:
            missing = self._remote.bytes - self.have
            raise TryAgain(self._failed(f"ended {missing:,} bytes early; pull again"))

    def _goes_on(self, answer: Answer) -> bool:
        """Whether the bytes of an answer belong after those that there are.

        If not, there are none any more.
        """
        if answer.total is not None and answer.total != self._remote.bytes:
            kind = "more" if answer.total > self._remote.bytes else "fewer"
            raise self._failed(f"has {kind} bytes than it said: the file changed; pull again")
        changed = bool(self.have and self._etag and answer.etag and answer.etag != self._etag)
        asked = answer.start == self.have and not changed
        if not asked:
            self._restart()
        if not asked and answer.partial:
            return False
        if not self.have:
            self._etag = answer.etag
            files.write_whole(self._tag, self._etag.encode("utf-8", "replace"))
        return True

    def _restart(self) -> None:
        self._restarts += 1
        if self._restarts > MOST_RESTARTS:
            raise self._failed("does not go on where it broke off; try again later")
        self._forget()

    def _forget(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self.have, self.digest = 0, hashlib.sha256()

    def _count(self, chunk: bytes) -> None:
        self.digest.update(chunk)
        self.have += len(chunk)
        self._on_bytes(self.have)

    def _failed(self, problem: str) -> DownloadFailed:
        return DownloadFailed(f"{self._name}: the server {problem}.")


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:32]


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
