"""Get a model onto this machine, once, whole and checked: from another tool's files, from the Hub, or from a local file."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from minireason.errors import ChecksumMismatch, DiskFull, ModelFileError, NotInstalled, UsageError
from minireason.models import catalog, download, gguf, places, reuse, store
from minireason.models.catalog import ModelSpec, Quant
from minireason.models.hub import RemoteFile
from minireason.models.store import Manifest, StoredFile

SPARE_BYTES = 200 * 10**6
"""Disk space that a download leaves free."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What a caller wants to hear: `bytes` gets (done, of) of the step going on, `step` a word on each new one."""

    bytes: Callable[[int, int], None] = lambda done, of: None
    step: Callable[[str], None] = lambda what: None

    def of(self, total: int) -> Callable[[int], None]:
        """Tells of bytes done out of this many."""
        return lambda done: self.bytes(done, total)


def pull(
    spec: ModelSpec, quant: Quant, open_once: Callable[[Path], None], watch: Watch
) -> Manifest | None:
    """Install a quant; None if it is there already. `open_once` opens a checked file in a process of its own.

    Raises StoreError and its kinds, or ModelFileError; then nothing is installed, and what was fetched is kept for the
    next try unless it is damaged.
    """
    if store.installed_file(spec, quant):
        return None
    incoming = places.models_dir() / ".incoming"
    try:
        incoming.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise store.cannot_write(places.models_dir(), error) from None
    with _alone(
        incoming / f"{quant.repo.replace('/', '--')}--{Path(quant.files[0]).name}.lock", watch
    ):
        if store.installed_file(spec, quant):
            return None
        if found := reuse.find(quant):
            watch.step(f"checking the file that {found.tool} has: {found.path}")
            return _adopt(spec, quant, found, open_once, watch)
        try:
            return _download(spec, quant, incoming, open_once, watch)
        except OSError as error:
            raise store.cannot_write(places.models_dir(), error) from None


def import_file(
    path: Path, name: str | None, open_once: Callable[[Path], None], watch: Watch
) -> Manifest:
    """Give a local GGUF a name and use it where it lies; raises NotInstalled, ModelFileError, UsageError or StoreError."""
    if not path.is_file():
        raise NotInstalled(f"There is no file {path}; check the path.", path.parent)
    gguf.check(path)
    chosen = (name or path.stem).lower().replace(" ", "-")
    if "/" in chosen or os.sep in chosen or chosen.startswith(catalog.HUB_PREFIX):
        raise UsageError(
            f"{chosen!r} can't be the name of a model; give one without separators: --name NAME."
        )
    if any(chosen in (spec.name, *spec.aliases) for spec in catalog.load()):
        raise UsageError(f"{chosen} is a model of the catalogue; give another name: --name NAME.")
    open_once(path)
    files = []
    for shard in gguf.shards(path):
        size = shard.stat().st_size
        watch.step(f"hashing {shard.name}")
        hashed = download.sha256(shard, watch.of(size))
        files.append(StoredFile(str(shard.absolute()), size, hashed))
    manifest = Manifest(chosen, "", tuple(files), f"imported from {path.absolute()}")
    store.note(manifest)
    return manifest


@contextmanager
def _alone(path: Path, watch: Watch) -> Iterator[None]:
    """One process at a time gets this lock; the others say so, wait, and find the work done."""
    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        watch.step("another process is fetching this model; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _adopt(
    spec: ModelSpec,
    quant: Quant,
    found: reuse.Found,
    open_once: Callable[[Path], None],
    watch: Watch,
) -> Manifest:
    size = found.path.stat().st_size
    hashed = download.sha256(found.path, watch.of(size))
    expected = quant.sha256[0] if quant.sha256 else found.sha256
    if expected and hashed != expected:
        raise ChecksumMismatch(
            str(found.path), expected, hashed, f"remove it from {found.tool}, then pull again."
        )
    gguf.check(found.path)
    open_once(found.path)
    return _noted(
        spec,
        quant,
        [StoredFile(str(found.path.absolute()), size, hashed)],
        f"{found.tool}: {found.name}",
    )


def _download(
    spec: ModelSpec, quant: Quant, incoming: Path, open_once: Callable[[Path], None], watch: Watch
) -> Manifest:
    watch.step(f"asking the Hub for {quant.repo}")
    remotes = [download.describe(quant.repo, file, quant.revision) for file in quant.files]
    pins = quant.sha256 or tuple(remote.sha256 or "" for remote in remotes)
    for remote, pin in zip(remotes, pins, strict=True):
        if pin and remote.sha256 and pin != remote.sha256:
            raise ChecksumMismatch(
                remote.file,
                pin,
                remote.sha256,
                "the Hub has another file than the catalogue; nothing was fetched.",
            )
    # named after what the server says the files are, but never by the server: other content starts afresh
    folder = (
        incoming
        / hashlib.sha256(" ".join(remote.etag for remote in remotes).encode()).hexdigest()[:32]
    )
    folder.mkdir(exist_ok=True)
    _check_space(remotes, folder)
    total, before = sum(remote.bytes for remote in remotes), 0
    stored: list[StoredFile] = []
    for remote, pin in zip(remotes, pins, strict=True):
        watch.step(f"fetching {Path(remote.file).name}")
        hashed = _fetch(remote, folder, download.after(before, watch.of(total)))
        if pin and hashed != pin:
            (folder / Path(remote.file).name).unlink()
            raise ChecksumMismatch(
                Path(remote.file).name, pin, hashed, "nothing was installed; pull again."
            )
        stored.append(StoredFile(str(store.place(spec, quant, remote.file)), remote.bytes, hashed))
        before += remote.bytes
    watch.step("checking the model")
    first = folder / Path(remotes[0].file).name
    try:
        gguf.check(first)
        open_once(first)
        repacked = store.was_opened(first, repack=True)
    except ModelFileError:
        shutil.rmtree(folder)
        raise
    for file in stored:
        Path(file.path).parent.mkdir(parents=True, exist_ok=True)
        (folder / Path(file.path).name).replace(file.path)
    shutil.rmtree(folder)
    store.remember_opened(Path(stored[0].path), repack=repacked)
    return _noted(spec, quant, stored, f"{quant.repo}@{quant.revision or 'main'}")


def _fetch(remote: RemoteFile, folder: Path, on_bytes: Callable[[int], None]) -> str:
    """Complete a file in the folder and return its sha256; while it is not, its name ends in .part."""
    whole = folder / Path(remote.file).name
    part = whole.with_name(f"{whole.name}.part")
    if whole.exists():
        whole.replace(part)
    hashed = download.fetch(remote, part, on_bytes)
    part.replace(whole)
    return hashed


def _check_space(remotes: list[RemoteFile], folder: Path) -> None:
    have = sum(path.stat().st_size for path in folder.iterdir())
    needed = sum(remote.bytes for remote in remotes) - have + SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DiskFull(places.models_dir(), needed, free)


def _noted(spec: ModelSpec, quant: Quant, files: list[StoredFile], source: str) -> Manifest:
    name = store.label(spec, quant)
    manifest = Manifest(spec.name, quant.name if name != spec.name else "", tuple(files), source)
    store.note(manifest)
    return manifest
