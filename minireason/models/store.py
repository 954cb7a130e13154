"""What is installed: model files, and for each a manifest that says what it is and where it came from.

A file without a manifest (put there by hand) works as well. Files of other tools are used where they lie and never touched.
"""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from minireason.errors import ChecksumMismatch, NotInstalled, UnknownModel, UsageError
from minireason.host import files
from minireason.host.paths import expanded, models_dir
from minireason.models import catalog, download, gguf, reuse
from minireason.models.catalog import ModelSpec, Quant
from minireason.models.manifests import Manifest as Manifest
from minireason.models.manifests import StoredFile as StoredFile
from minireason.models.manifests import cannot_write as cannot_write
from minireason.models.manifests import damaged_manifests as damaged_manifests
from minireason.models.manifests import manifest_path
from minireason.models.manifests import manifests as manifests
from minireason.models.manifests import note as note
from minireason.models.opened import remember_opened as remember_opened
from minireason.models.opened import was_opened as was_opened


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file to load (of a split model the first) and what to call it; `trusted` if it came with the package."""

    path: Path
    label: str
    trusted: bool = False


def is_path(model: str) -> bool:
    """Whether a model argument means a file: it ends in .gguf or has a separator.

    A file of another name in the current folder never stands for a model of that name.
    """
    if model.startswith(catalog.HUB_PREFIX):
        return False
    return model.lower().endswith(".gguf") or "/" in model or os.sep in model


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
        if model.lower() == manifest.label.lower() and files.is_file(manifest.path):
            return ModelFile(manifest.path, manifest.label)
    spec, quant = find_spec(model)
    found = installed_file(spec, quant)
    if found is None:
        chosen = quant or spec.quants[spec.default_quant]
        if other := reuse.find(chosen):
            return ModelFile(other.path, label(spec, chosen))
        message = (
            f"{spec.name} is not installed; fetch it with: minireason pull {model} "
            f"(or put {Path(chosen.files[0]).name} into {place(spec, chosen, chosen.files[0]).parent})."
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


def installed_file(
    spec: ModelSpec, quant: Quant | None, noted: Sequence[Manifest] | None = None
) -> ModelFile | None:
    """The installed file of a model: of the quant named, else of its default or any other.

    `noted` are the manifests, for a caller that asks for many models and has read them.
    """
    if spec.built_in:
        name = spec.quants[spec.default_quant].files[0]
        return ModelFile(
            Path(str(resources.files("minireason.tiny").joinpath(name))), spec.name, trusted=True
        )
    noted = manifests() if noted is None else noted
    default = spec.quants[spec.default_quant]
    order = (
        [quant]
        if quant
        else [default, *(other for other in spec.quants.values() if other is not default)]
    )
    for candidate in order:
        for path in _candidates(spec, candidate, noted):
            if files.is_file(path):
                return ModelFile(path, label(spec, candidate))
    return None


def _candidates(spec: ModelSpec, quant: Quant, noted: Sequence[Manifest]) -> list[Path]:
    """Where the first file of a quant may be: as noted, else where it is put today, else where it was put before.

    A file that was noted under another name is that model's, unless it came from the same place.
    """
    name = label(spec, quant)
    for manifest in reversed(noted):
        if manifest.label == name:
            return [manifest.path]
    own = place(spec, quant, quant.files[0], noted)
    if spec.name.startswith(catalog.HUB_PREFIX) and files.is_file(manifest_path(name)):
        return [own, _old_place(quant)]  # its manifest is damaged, but it was installed
    return [own]


def place(
    spec: ModelSpec, quant: Quant, file: str, noted: Sequence[Manifest] | None = None
) -> Path:
    """Where a file is put: one of the catalogue by its own name in the models directory, one of hf:... under its repository.

    The whole name counts: revision and folders are part of the place, and where another model has the place already (one of
    the catalogue with a file of the same name, or one that minireason 0.1.0 put there), the file goes beside it.
    """
    folder = models_dir() / quant.repo.replace("/", "--")
    if not spec.name.startswith(catalog.HUB_PREFIX):
        own = models_dir() / Path(file).name
    elif quant.revision:
        own = folder.with_name(f"{folder.name}@{quant.revision}") / file
    else:
        own = folder / file
    owner = _owners(manifests() if noted is None else noted).get(str(own.absolute()))
    if owner is None or owner.label == label(spec, quant) or _is_same(owner, spec, quant, file):
        return own
    return folder.with_name(f"{folder.name}@{quant.revision or 'main'}") / file


def _is_same(owner: Manifest, spec: ModelSpec, quant: Quant, file: str) -> bool:
    """Whether another name's file is this very file, as far as its manifest tells: it does not say the folders."""
    hub = catalog.HUB_PREFIX
    named = any(name.startswith(hub) for name in (owner.name, spec.name))
    return not named and "/" not in file and owner.source == source(quant)


def source(quant: Quant) -> str:
    """Where a quant comes from, as its manifest says."""
    return f"{quant.repo}@{quant.revision or 'main'}"


def _owners(noted: Sequence[Manifest]) -> dict[str, Manifest]:
    """Whose each noted file is, by its absolute path."""
    return {
        str(Path(stored.path).absolute()): manifest
        for manifest in noted
        for stored in manifest.files
    }


def _old_place(quant: Quant) -> Path:
    """Where a file of hf:... was put by minireason 0.1.0: without its folders and revision."""
    return models_dir() / quant.repo.replace("/", "--") / Path(quant.files[0]).name


def installed() -> list[tuple[ModelSpec, ModelFile]]:
    """Every named model with a file on this machine, the one with the most parameters first, built-in ones left out."""
    noted = manifests()
    specs = sorted(
        (spec for spec in catalog.load() if not spec.built_in), key=lambda spec: -spec.params
    )
    return [(spec, file) for spec in specs if (file := installed_file(spec, None, noted))]


def remove(model: str) -> tuple[str, int]:
    """Take an installed model away: its label, and the bytes freed (0 where the files are another tool's or a user's own).

    Raises UsageError, UnknownModel or NotInstalled.
    """
    file = find(model)
    if file.trusted or is_path(model):
        raise UsageError(
            f"{model} is not an installed model; built-in models and files given by a path are not removed."
        )
    noted = manifests()
    manifest = next((entry for entry in noted if entry.label == file.label), None)
    paths = [Path(stored.path) for stored in manifest.files] if manifest else [file.path]
    kept = _owners([entry for entry in noted if entry is not manifest])
    ours = [
        path
        for path in paths
        if models_dir().absolute() in path.absolute().parents and str(path.absolute()) not in kept
    ]
    freed = sum(
        path.stat().st_size for path in ours if files.is_file(path) and not path.is_symlink()
    )
    try:
        for path in ours:
            if os.path.lexists(path):
                path.unlink()
        manifest_path(file.label).unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(models_dir(), error) from None
    return file.label, freed


def verify(manifest: Manifest, on_bytes: Callable[[int], None] = lambda have: None) -> None:
    """Hash an installed model's files again; raises ChecksumMismatch or NotInstalled."""
    before = 0
    for stored in manifest.files:
        path = Path(stored.path)
        if not files.is_file(path):
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
