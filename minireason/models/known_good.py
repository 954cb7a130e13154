"""Model files that were used without harm before.

Each file is tried once in a process of its own, and not every time. It is known by what it holds:
by samples of all parts of a model, its whole header among them. Its place, size and time of change
have to agree as well, since samples do not show a change between them.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from minireason.host import files, state
from minireason.host.paths import data_dir
from minireason.models import gguf

HEADER_BYTES, PART_HEADER_BYTES = 16 * 2**20, 2**20
"""The beginning of a file that is read whole.

The largest header known has 8 MB (a vocabulary of 131k), a later part's is small.
"""

SAMPLES, SAMPLE_BYTES = 64, 16 * 2**10
"""Pieces of the rest that are read, evenly spread, the last bytes among them."""

_MAX_ENTRIES = 200


@dataclass(frozen=True, slots=True)
class Identity:
    """What a model file is known by."""

    path: str
    """The path of the (first) file."""

    digest: str
    """A digest of all parts; "" if they cannot be read."""


def identity(path: Path) -> Identity:
    """The identity of a model file, from some megabytes of it."""
    digest = hashlib.sha256()
    place = os.path.realpath(path)
    try:  # the parts are beside the path as given, where llama.cpp looks
        for number, part in enumerate(gguf.shards(path)):
            digest.update(_sampled(part, PART_HEADER_BYTES if number else HEADER_BYTES))
    except OSError:
        return Identity(place, "")
    return Identity(place, digest.hexdigest())


def knows(known: Identity, *, repack: bool) -> bool:
    """Whether this was used without harm, with its weights repacked if they will be."""
    return bool(known.digest) and any(
        [known.path, known.digest, how] in _entries() for how in {repack, True}
    )


def remember(known: Identity, *, repack: bool) -> None:
    """Note that a file was used without harm.

    Where nothing may be written, it is tried again next time.
    """
    others = [entry for entry in _entries() if entry[0] != known.path][1 - _MAX_ENTRIES :]
    text = json.dumps([*others, [known.path, known.digest, repack]])
    with suppress(OSError):
        _file().parent.mkdir(parents=True, exist_ok=True)
        files.write_whole(_file(), text.encode())


def was_opened(path: Path, *, repack: bool = False) -> bool:
    """See `knows`."""
    return knows(identity(path), repack=repack)


def remember_opened(path: Path, *, repack: bool = False) -> None:
    """See `remember`."""
    remember(identity(path), repack=repack)


def _sampled(path: Path, header_bytes: int) -> bytes:
    """A digest of a file's size, time of change, beginning and samples."""
    digest = hashlib.sha256()
    with files.open_regular(path) as file:
        status = os.fstat(file.fileno())
        digest.update(f"{status.st_size} {status.st_mtime_ns}".encode())
        digest.update(file.read(header_bytes))
        rest = status.st_size - header_bytes
        if rest <= SAMPLES * SAMPLE_BYTES:
            digest.update(file.read(max(0, rest)))
            return digest.digest()
        for number in range(SAMPLES):
            file.seek(header_bytes + (rest - SAMPLE_BYTES) * number // (SAMPLES - 1))
            digest.update(file.read(SAMPLE_BYTES))
    return digest.digest()


def _file() -> Path:
    return data_dir() / "opened.json"


def _entries() -> list[list[str | bool]]:
    """What was noted; nothing if the file is missing, damaged or of an earlier form.

    Then each model is tried once more.
    """
    entries = state.read_json(_file(), [list]).value or []
    return [entry for entry in entries if _is_entry(entry)]


def _is_entry(entry: list[object]) -> bool:
    return [type(value) for value in entry] == [str, str, bool]
