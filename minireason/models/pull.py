"""Get a model onto this machine, once, whole and checked.

From another tool's files, from the Hub, or from a local file.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from minireason.errors import ChecksumMismatch, DiskFull, ModelFileError, NotInstalled, UsageError
from minireason.host import files, paths
from minireason.host.lock import FileLock
from minireason.models import catalog, download, gguf, known_good, other_tools, store
from minireason.models.hub import RemoteFile
from minireason.models.hub_name import HUB_PREFIX
from minireason.models.other_tools import OtherFile
from minireason.models.spec import ModelSpec, Quant
from minireason.models.store import Manifest, StoredFile

SPARE_BYTES = 200 * 10**6
"""Disk space that a download leaves free."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What a caller wants to hear."""

    bytes: Callable[[int, int], None] = lambda done, of: None
    """Called with (done, of) as the bytes of a step come."""

    step: Callable[[str], None] = lambda what: None
    """Called with a word on each new step."""

    def of(self, total: int) -> Callable[[int], None]:
        """Report bytes done out of this many."""
        return lambda done: self.bytes(done, total)


def sized(quant: Quant) -> Quant:
    """The quant with its size, which the Hub is asked for where nobody wrote it down.

    Nobody is asked where another tool has the file. Raises StoreError.
    """
    if quant.bytes or other_tools.find(quant):
        return quant
    remotes = (download.describe(quant.repo, file, quant.revision) for file in quant.files)
    return replace(quant, bytes=sum(remote.bytes for remote in remotes))


def pull(
    spec: ModelSpec, quant: Quant, open_once: Callable[[Path], None], watch: Watch
) -> Manifest | None:
    """Install a quant; None if it is there already.

    `open_once` opens a checked file in a process of its own. Raises StoreError and its kinds, or
    ModelFileError; then nothing is installed, and what was fetched is kept for the next try unless
    it is damaged.
    """
    if store.installed_file(spec, quant):
        return None
    incoming = paths.models_dir() / ".incoming"
    try:
        incoming.mkdir(parents=True, exist_ok=True)
        with _alone(incoming / f"{_digest(store.source(quant), *quant.files)}.lock", watch):
            if store.installed_file(spec, quant):
                return None
            if other := other_tools.find(quant):
                watch.step(f"checking the file that {other.tool} has: {other.path}")
                return _adopt(spec, quant, other, open_once, watch)
            return _download(spec, quant, incoming, open_once, watch)
    except OSError as error:
        raise store.cannot_write(paths.models_dir(), error) from None


def import_file(
    path: Path, name: str | None, open_once: Callable[[Path], None], watch: Watch
) -> Manifest:
    """Give a local GGUF a name and use it where it lies.

    Raises NotInstalled, ModelFileError, UsageError or StoreError.
    """
    if not files.is_file(path):
        raise NotInstalled(f"There is no file {path}; check the path.", path.parent)
    gguf.check(path)
    chosen = (name or path.stem).lower().replace(" ", "-")
    if "/" in chosen or os.sep in chosen or chosen.startswith(HUB_PREFIX):
        raise UsageError(
            f"{chosen!r} can't be the name of a model; give one without separators: --name NAME."
        )
    if any(chosen in (spec.name, *spec.aliases) for spec in catalog.load()):
        raise UsageError(f"{chosen} is a model of the catalogue; give another name: --name NAME.")
    open_once(path)
    stored = []
    for shard in gguf.shards(path):
        size = shard.stat().st_size
        watch.step(f"hashing {shard.name}")
        hashed = download.sha256(shard, watch.of(size))
        stored.append(StoredFile(str(shard.absolute()), size, hashed))
    manifest = Manifest(chosen, "", tuple(stored), f"imported from {path.absolute()}")
    store.note(manifest)
    return manifest


@contextmanager
def _alone(path: Path, watch: Watch) -> Iterator[None]:
    """One process at a time gets this lock; the others say so, wait, and find the work done."""
    lock = FileLock(path)
    if not lock.acquire():
        watch.step("another process is fetching this model; waiting for it")
        lock.acquire(wait=True)
    try:
        yield
    finally:
        lock.release()


def _adopt(
    spec: ModelSpec,
    quant: Quant,
    other: OtherFile,
    open_once: Callable[[Path], None],
    watch: Watch,
) -> Manifest:
    """Install another tool's file where it lies."""
    size = other.path.stat().st_size
    hashed = download.sha256(other.path, watch.of(size))
    expected = quant.sha256[0] if quant.sha256 else other.sha256
    if expected and hashed != expected:
        advice = f"remove it from {other.tool}, then pull again."
        raise ChecksumMismatch(str(other.path), expected, hashed, advice)
    gguf.check(other.path)
    open_once(other.path)
    stored = StoredFile(str(other.path.absolute()), size, hashed)
    return _noted(spec, quant, [stored], f"{other.tool}: {other.name}")


def _download(
    spec: ModelSpec, quant: Quant, incoming: Path, open_once: Callable[[Path], None], watch: Watch
) -> Manifest:
    """Fetch the files of a quant, check them and move them to where they belong."""
    watch.step(f"asking the Hub for {quant.repo}")
    remotes = [download.describe(quant.repo, file, quant.revision) for file in quant.files]
    pins = _pins(quant, remotes)
    # Named after what the server says the files are, but never by the server: other content starts
    # afresh.
    folder = incoming / _digest(*(remote.etag for remote in remotes))
    folder.mkdir(exist_ok=True)
    _check_space(remotes, folder)
    fetched = _fetched(remotes, pins, folder, watch)
    watch.step("checking the model")
    first = Path(fetched[0].path)
    try:
        gguf.check(first)
        open_once(first)
        repacked = known_good.was_opened(first, repack=True)
    except ModelFileError:
        shutil.rmtree(folder)
        raise
    stored = _moved(fetched, store.place(spec, quant, remotes[0].file))
    shutil.rmtree(folder)
    known_good.remember_opened(Path(stored[0].path), repack=repacked)
    return _noted(spec, quant, stored, store.source(quant), vouched=all(pins))


def _pins(quant: Quant, remotes: Sequence[RemoteFile]) -> tuple[str, ...]:
    """The hash that each file has to have; "" where nobody published one.

    Raises ChecksumMismatch where the Hub has another file than the catalogue.
    """
    pins = quant.sha256 or tuple(remote.sha256 or "" for remote in remotes)
    for remote, pin in zip(remotes, pins, strict=True):
        if pin and remote.sha256 and pin != remote.sha256:
            advice = "the Hub has another file than the catalogue; nothing was fetched."
            raise ChecksumMismatch(remote.file, pin, remote.sha256, advice)
    return pins


def _fetched(
    remotes: Sequence[RemoteFile], pins: Sequence[str], folder: Path, watch: Watch
) -> list[StoredFile]:
    """Fetch files into a folder, each checked; raises ChecksumMismatch and what `fetch` raises."""
    total, before = sum(remote.bytes for remote in remotes), 0
    fetched = []
    for remote, pin in zip(remotes, pins, strict=True):
        watch.step(f"fetching {Path(remote.file).name}")
        part = download.Part.of(folder, remote)
        hashed = download.fetch(remote, part, download.after(before, watch.of(total)))
        if not pin:
            watch.step(f"no hash is published for {remote.file}; reading it again from the disk")
        expected = pin or download.sha256(part.path, watch.of(remote.bytes))
        if hashed != expected:
            part.drop()
            name = Path(remote.file).name
            raise ChecksumMismatch(name, expected, hashed, "nothing was installed; pull again.")
        part.finish()
        fetched.append(StoredFile(str(part.whole), remote.bytes, hashed))
        before += remote.bytes
    return fetched


def _moved(fetched: Sequence[StoredFile], place: Path) -> list[StoredFile]:
    """Move whole, checked files to where they belong: all parts of a model beside the first."""
    place.parent.mkdir(parents=True, exist_ok=True)
    stored = []
    for file in fetched:
        target = place.with_name(Path(file.path).name)
        Path(file.path).replace(target)
        stored.append(replace(file, path=str(target)))
    return stored


def _digest(*names: str) -> str:
    """A file's name, of one length, for names of any length and origin."""
    return hashlib.sha256(" ".join(names).encode("utf-8", "replace")).hexdigest()[:32]


def _check_space(remotes: list[RemoteFile], folder: Path) -> None:
    have = sum(path.stat().st_size for path in folder.iterdir())
    needed = sum(remote.bytes for remote in remotes) - have + SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DiskFull(paths.models_dir(), needed, free)


def _noted(
    spec: ModelSpec, quant: Quant, stored: list[StoredFile], source: str, *, vouched: bool = True
) -> Manifest:
    name = quant.name if store.label(spec, quant) != spec.name else ""
    manifest = Manifest(spec.name, name, tuple(stored), source, vouched=vouched)
    store.note(manifest)
    return manifest
