"""Manifests: for each installed model a small JSON file that says what and where it is.

Each is a file of its own, replaced in one step, so that a crash can cost one at most.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from minireason.errors import StoreError
from minireason.host import files, state
from minireason.host.paths import data_dir

_MOST_OF_A_NAME = 200
_MANIFEST = {
    **dict.fromkeys(("name", "quant", "source", "date"), str),
    "files": [{"path": str, "bytes": int, "sha256": str}],
}


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of an installed model."""

    path: str
    """Where it lies."""

    bytes: int
    """Its size."""

    sha256: str
    """The hash that it had when it was installed."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """An installed model."""

    name: str
    """The name by which it is asked for."""

    quant: str
    """The quant by which it is asked for; "" where the name says it all."""

    files: tuple[StoredFile, ...]
    """Its files, of a split model the first part first."""

    source: str
    """Where it came from."""

    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    """When it was installed, in UTC."""

    vouched: bool = True
    """False where nobody published a hash for what was fetched.

    Then it is what the server sent, whatever that was.
    """

    @property
    def label(self) -> str:
        """What it is called: "name:QUANT", or just the name."""
        return f"{self.name}:{self.quant}" if self.quant else self.name

    @property
    def path(self) -> Path:
        """Its (first) file."""
        return Path(self.files[0].path)


def manifests() -> list[Manifest]:
    """What the manifests say, oldest first.

    One that is damaged is left out, see `damaged_manifests`.
    """
    read = (_read_manifest(path) for path in _manifest_files())
    return sorted((manifest for manifest in read if manifest), key=lambda manifest: manifest.date)


def damaged_manifests() -> list[Path]:
    """Manifests that cannot be read; pulling or importing the model again mends them."""
    return [path for path in _manifest_files() if _read_manifest(path) is None]


def note(manifest: Manifest) -> None:
    """Write a manifest in one step; raises StoreError."""
    path = manifest_path(manifest.label)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_whole(path, json.dumps(asdict(manifest), indent=1).encode())
    except OSError as error:
        raise cannot_write(path.parent, error) from None


def manifest_path(name: str) -> Path:
    """The manifest of a label.

    Of a label too long for a file's name, its beginning and its hash.
    """
    quoted = quote(os.fsencode(name), safe="")  # a file's name need not be UTF-8
    if len(quoted) > _MOST_OF_A_NAME:
        digest = hashlib.sha256(quoted.encode()).hexdigest()[:32]
        quoted = f"{quoted[: _MOST_OF_A_NAME - 33]}-{digest}"
    return _manifest_dir() / f"{quoted}.json"


def cannot_write(folder: Path, error: OSError) -> StoreError:
    """What to say when the data directory can't be written."""
    if error.errno == errno.ENAMETOOLONG:
        return StoreError(
            f"A file name is too long for {folder}; give the model another name, or set "
            "MINIREASON_HOME to a shorter path."
        )
    return StoreError(
        f"{folder} cannot be written ({error.strerror or error}); set MINIREASON_HOME to a "
        "directory of yours."
    )


def _manifest_dir() -> Path:
    return data_dir() / "manifests"


def _manifest_files() -> list[Path]:
    try:
        return sorted(_manifest_dir().glob("*.json"))
    except OSError:
        return []


def _read_manifest(path: Path) -> Manifest | None:
    entry = state.read_json(path, _MANIFEST).value
    if not entry or not entry["files"]:
        return None
    stored = tuple(
        StoredFile(file["path"], file["bytes"], file["sha256"]) for file in entry["files"]
    )
    vouched = entry.get("vouched") is not False  # those of before do not say
    return Manifest(entry["name"], entry["quant"], stored, entry["source"], entry["date"], vouched)
