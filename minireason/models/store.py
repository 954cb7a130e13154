"""What is installed: model files, and for each a manifest that says what it is and where it came from.

A manifest is a small JSON file of its own, replaced in one step, so that a crash can cost one at most; a file without
one (put there by hand) works as well. Files of other tools are used where they lie and never touched.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from urllib.parse import quote

from minireason.errors import ChecksumMismatch, NotInstalled, StoreError, UnknownModel, UsageError
from minireason.models import catalog, download, gguf, reuse
from minireason.models.catalog import ModelSpec, Quant
from minireason.models.opened import remember_opened as remember_opened
from minireason.models.opened import was_opened as was_opened
from minireason.models.places import data_dir, expanded, models_dir


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file to load (of a split model the first) and what to call it; `trusted` if it came with the package."""

    path: Path
    label: str
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of an installed model; `sha256` is what it had when it was installed."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """An installed model: `name` and `quant` as it is asked for, `source` where it came from, `date` in UTC."""

    name: str
    quant: str
    files: tuple[StoredFile, ...]
    source: str
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def label(self) -> str:
        return f"{self.name}:{self.quant}" if self.quant else self.name

    @property
    def path(self) -> Path:
        return Path(self.files[0].path)


def is_path(model: str) -> bool:
    """Whether a model argument means a file: it ends in .gguf, has a separator, or names an existing file."""
    if model.startswith(catalog.HUB_PREFIX):
        return False
    return (
        model.lower().endswith(".gguf") or "/" in model or os.sep in model or Path(model).is_file()
    )


def find(model: str) -> ModelFile:
    """The file for a name ("name", "name:QUANT", one given at import, hf:owner/repo/file.gguf) or path.

    Raises UnknownModel or NotInstalled.
    """
    if is_path(model):
        path = expanded(model)
        if not os.path.exists(path):  # False, and no error, for a path that no system allows
            raise NotInstalled(
                f"There is no file {path}; check the path, or name a model of the catalogue such as r1-7b.",
                path.parent,
            )
        return ModelFile(path, path.name)
    for manifest in manifests():
        if model.lower() == manifest.label.lower() and manifest.path.is_file():
            return ModelFile(manifest.path, manifest.label)
    spec, quant = find_spec(model)
    found = installed_file(spec, quant)
    if found is None:
        chosen = quant or spec.quants[spec.default_quant]
        if other := reuse.find(chosen):
            return ModelFile(other.path, label(spec, chosen))
        message = (
            f"{spec.name} is not installed; fetch it with: minireason pull {model} "
            f"(or put {Path(chosen.files[0]).name} into {models_dir()})."
        )
        raise NotInstalled(message, models_dir())
    return found


def find_spec(model: str) -> tuple[ModelSpec, Quant | None]:
    """See `catalog.find`; the nearest names include what was imported here."""
    try:
        return catalog.find(model)
    except UnknownModel as error:
        own = [manifest.name for manifest in manifests()]
        near = difflib.get_close_matches(model.lower(), own, 2)
        raise UnknownModel(model, (*error.nearest, *near), error.known) from None


def label(spec: ModelSpec, quant: Quant) -> str:
    """What an installed quant is called: "name:QUANT", or just the name where that says it all."""
    return (
        spec.name
        if spec.built_in or spec.name.startswith(catalog.HUB_PREFIX)
        else f"{spec.name}:{quant.name}"
    )


def installed_file(spec: ModelSpec, quant: Quant | None) -> ModelFile | None:
    """The installed file of a model: of the quant named, else of its default or any other."""
    if spec.built_in:
        name = spec.quants[spec.default_quant].files[0]
        return ModelFile(
            Path(str(resources.files("minireason.tiny").joinpath(name))), spec.name, trusted=True
        )
    default = spec.quants[spec.default_quant]
    order = (
        [quant]
        if quant
        else [default, *(other for other in spec.quants.values() if other is not default)]
    )
    noted = {manifest.label: manifest.path for manifest in manifests()}
    for candidate in order:
        path = noted.get(label(spec, candidate), place(spec, candidate, candidate.files[0]))
        if path.is_file():
            return ModelFile(path, label(spec, candidate))
    return None


def place(spec: ModelSpec, quant: Quant, file: str) -> Path:
    """Where a file of the catalogue is put: by its own name; one of hf:... under its repository's name."""
    folder = (
        models_dir() / quant.repo.replace("/", "--")
        if spec.name.startswith(catalog.HUB_PREFIX)
        else models_dir()
    )
    return folder / Path(file).name


def installed() -> list[tuple[ModelSpec, ModelFile]]:
    """Every named model with a file on this machine, the one with the most parameters first, built-in ones left out."""
    specs = sorted(
        (spec for spec in catalog.load() if not spec.built_in), key=lambda spec: -spec.params
    )
    return [(spec, file) for spec in specs if (file := installed_file(spec, None))]


def manifests() -> list[Manifest]:
    """What the manifests say, oldest first; one that is damaged is left out (see `damaged_manifests`)."""
    read = (_read_manifest(path) for path in _manifest_files())
    return sorted((manifest for manifest in read if manifest), key=lambda manifest: manifest.date)


def damaged_manifests() -> list[Path]:
    """Manifests that cannot be read; pulling or importing the model again mends them."""
    return [path for path in _manifest_files() if _read_manifest(path) is None]


def note(manifest: Manifest) -> None:
    """Write a manifest in one step; raises StoreError."""
    path = _manifest_dir() / f"{quote(manifest.label, safe='')}.json"
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(asdict(manifest), indent=1), "utf-8")
        draft.replace(path)
    except OSError as error:
        raise cannot_write(path.parent, error) from None


def cannot_write(folder: Path, error: OSError) -> StoreError:
    """What to say when the data directory can't be written."""
    return StoreError(
        f"{folder} cannot be written ({error.strerror or error}); set MINIREASON_HOME to a directory of yours."
    )


def remove(model: str) -> tuple[str, int]:
    """Take an installed model away: its label, and the bytes freed (0 where the files are another tool's or a user's own).

    Raises UsageError, UnknownModel or NotInstalled.
    """
    file = find(model)
    if file.trusted or is_path(model):
        raise UsageError(
            f"{model} is not an installed model; built-in models and files given by a path are not removed."
        )
    manifest = next((entry for entry in manifests() if entry.label == file.label), None)
    paths = [Path(stored.path) for stored in manifest.files] if manifest else [file.path]
    ours = [path for path in paths if models_dir().absolute() in path.absolute().parents]
    freed = sum(path.stat().st_size for path in ours if path.is_file() and not path.is_symlink())
    try:
        for path in ours:
            path.unlink(missing_ok=True)
        if manifest:
            (_manifest_dir() / f"{quote(manifest.label, safe='')}.json").unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(models_dir(), error) from None
    return file.label, freed


def verify(manifest: Manifest, on_bytes: Callable[[int], None] = lambda have: None) -> None:
    """Hash an installed model's files again; raises ChecksumMismatch or NotInstalled."""
    before = 0
    for stored in manifest.files:
        path = Path(stored.path)
        if not path.is_file():
            raise NotInstalled(
                f"{path} is gone; minireason rm {manifest.label}, then get it again.", path.parent
            )
        actual = download.sha256(path, download.after(before, on_bytes))
        before += stored.bytes
        if actual != stored.sha256:
            raise ChecksumMismatch(
                path.name,
                stored.sha256,
                actual,
                f"minireason rm {manifest.label}, then get it again.",
            )


def fingerprint(file: ModelFile) -> str:
    """The sha256 of a model's bytes, as noted when it was installed, else read now; of a split one that of its parts' hashes.

    Raises ModelFileError for what is no model.
    """
    gguf.check(file.path)
    manifest = next((entry for entry in manifests() if entry.path == file.path), None)
    found = (
        [stored.sha256 for stored in manifest.files]
        if manifest
        else [download.sha256(part) for part in gguf.shards(file.path)]
    )
    return found[0] if len(found) == 1 else hashlib.sha256("".join(found).encode()).hexdigest()


def _manifest_dir() -> Path:
    return data_dir() / "manifests"


def _manifest_files() -> list[Path]:
    try:
        return sorted(_manifest_dir().glob("*.json"))
    except OSError:
        return []


def _read_manifest(path: Path) -> Manifest | None:
    try:
        entry = json.loads(path.read_text("utf-8"))
        files = tuple(
            StoredFile(str(file["path"]), int(file["bytes"]), str(file["sha256"]))
            for file in entry["files"]
        )
        return (
            Manifest(
                str(entry["name"]),
                str(entry["quant"]),
                files,
                str(entry["source"]),
                str(entry["date"]),
            )
            if files
            else None
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
