"""What is installed: model files, and for each a manifest that says what it is.

A file without a manifest (put there by hand) works as well. Files of other tools are used where
they lie and never touched.
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
from minireason.host.paths import SWITCHED_OFF, expanded, models_dir, offline
from minireason.models import catalog, gguf, other_tools
from minireason.models.hub_name import HUB_PREFIX
from minireason.models.manifests import Manifest as Manifest
from minireason.models.manifests import StoredFile as StoredFile
from minireason.models.manifests import cannot_write as cannot_write
from minireason.models.manifests import damaged_manifests as damaged_manifests
from minireason.models.manifests import manifest_path
from minireason.models.manifests import manifests as manifests
from minireason.models.manifests import note as note
from minireason.models.spec import ModelSpec, Quant


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file to load."""

    path: Path
    """Where it lies; of a split model the first part."""

    label: str
    """What to call it."""

    trusted: bool = False
    """Whether it came with the package."""


def is_path(model: str) -> bool:
    """Whether a model argument means a file: it ends in .gguf or has a separator.

    A file of another name in the current folder never stands for a model of that name.
    """
    if model.startswith(HUB_PREFIX):
        return False
    return model.lower().endswith(".gguf") or "/" in model or os.sep in model


def find(model: str) -> ModelFile:
    """The file for a name or a path.

    A name is "name", "name:QUANT", one given at import, or hf:owner/repo/file.gguf. Raises
    UnknownModel or NotInstalled.
    """
    if "://" in model:
        problem = "A URL is no model; a server is asked by minireason.connect(url), or by --url"
        raise NotInstalled(f"{problem} on the command line.", models_dir())
    if is_path(model):
        return _at_path(expanded(model))
    for manifest in manifests():
        if model.lower() == manifest.label.lower() and files.is_file(manifest.path):
            return ModelFile(manifest.path, manifest.label)
    spec, quant = find_spec(model)
    if file := installed_file(spec, quant):
        return file
    chosen = quant or spec.quants[spec.default_quant]
    if other := other_tools.find(chosen):
        return ModelFile(other.path, label(spec, chosen))
    raise NotInstalled(_how_to_install(model, spec, chosen), models_dir())


def _how_to_install(model: str, spec: ModelSpec, quant: Quant) -> str:
    """What to do about a model that is not installed; without a network there is no pull."""
    file, folder = Path(quant.files[0]).name, place(spec, quant, quant.files[0]).parent
    fetch = f"fetch it with: minireason pull {model}"
    if not offline():
        return f"{spec.name} is not installed; {fetch} (or put {file} into {folder})."
    return (
        f"{spec.name} is not installed, and {SWITCHED_OFF}; put {file} into {folder}, give the "
        f"path of a .gguf file, or switch it on and {fetch}."
    )


def _at_path(path: Path) -> ModelFile:
    if not os.path.exists(path):  # False, and no error, for a path that no system allows
        message = f"There is no file {path}; check the path, or name a model of the catalogue"
        raise NotInstalled(f"{message} such as r1-7b.", path.parent)
    return ModelFile(path, path.name)


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
    if spec.built_in or spec.name.startswith(HUB_PREFIX):
        return spec.name
    return f"{spec.name}:{quant.name}"


def installed_file(
    spec: ModelSpec, quant: Quant | None, noted: Sequence[Manifest] | None = None
) -> ModelFile | None:
    """The installed file of a model: of the quant named, else of its default or any other.

    `noted` are the manifests, for a caller that asks for many models and has read them.
    """
    default = spec.quants[spec.default_quant]
    if spec.built_in:
        path = resources.files("minireason.tiny").joinpath(default.files[0])
        return ModelFile(Path(str(path)), spec.name, trusted=True)
    noted = manifests() if noted is None else noted
    order = [quant] if quant else [default, *spec.quants.values()]
    for candidate in order:
        for possible in _candidates(spec, candidate, noted):
            if files.is_file(possible):
                return ModelFile(possible, label(spec, candidate))
    return None


def _candidates(spec: ModelSpec, quant: Quant, noted: Sequence[Manifest]) -> list[Path]:
    """Where the first file of a quant may be.

    As noted, else where it is put today, else where it was put before. A file that was noted under
    another name is that model's, unless it came from the same place.
    """
    name = label(spec, quant)
    for manifest in reversed(noted):
        if manifest.label == name:
            return [manifest.path]
    own = place(spec, quant, quant.files[0], noted)
    if spec.name.startswith(HUB_PREFIX) and files.is_file(manifest_path(name)):
        return [own, _old_place(quant)]  # its manifest is damaged, but it was installed
    return [own]


def place(
    spec: ModelSpec, quant: Quant, file: str, noted: Sequence[Manifest] | None = None
) -> Path:
    """Where a file is put in the models directory.

    One of the catalogue by its own name, one of hf:... under its repository. The whole name counts:
    revision and folders are part of the place. Where another model has the place already (one of
    the catalogue with a file of the same name, or one that minireason 0.1.0 put there), the file
    goes beside it.
    """
    folder = models_dir() / quant.repo.replace("/", "--")
    if not spec.name.startswith(HUB_PREFIX):
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
    """Whether another name's file is this very file, as far as its manifest tells.

    It does not say the folders.
    """
    named = any(name.startswith(HUB_PREFIX) for name in (owner.name, spec.name))
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
    """Every model of the catalogue with a file on this machine.

    The one with the most parameters first, and built-in ones left out.
    """
    noted = manifests()
    specs = [spec for spec in catalog.load() if not spec.built_in]
    specs.sort(key=lambda spec: -spec.params)
    return [(spec, file) for spec in specs if (file := installed_file(spec, None, noted))]


def remove(model: str) -> tuple[str, int]:
    """Remove an installed model; its label, and the bytes freed.

    Files of another tool, and a user's own, stay: 0 bytes. Raises UsageError, UnknownModel or
    NotInstalled.
    """
    file = find(model)
    if file.trusted or is_path(model):
        raise UsageError(
            f"{model} is not an installed model; built-in models and files given by a path are "
            "not removed."
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
    if manifest is None and not ours:
        message = f"{file.label} is not installed: {file.path} is another tool's file, and stays."
        raise NotInstalled(message, models_dir())
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
    from minireason.models import download  # what fetches too, for who hashes only

    before = 0
    for stored in manifest.files:
        path = Path(stored.path)
        if not files.is_file(path):
            message = f"{path} is gone; minireason rm {manifest.label}, then get it again."
            raise NotInstalled(message, path.parent)
        actual = download.sha256(path, download.after(before, on_bytes))
        before += stored.bytes
        if actual != stored.sha256:
            advice = f"minireason rm {manifest.label}, then get it again."
            raise ChecksumMismatch(path.name, stored.sha256, actual, advice)


def fingerprint(file: ModelFile) -> str:
    """The sha256 of a model's bytes, as noted when it was installed, else computed now.

    Of a split model that of its parts' hashes. Raises ModelFileError for what is no model.
    """
    from minireason.models import download

    gguf.check(file.path)
    manifest = next((entry for entry in manifests() if entry.path == file.path), None)
    hashes = [stored.sha256 for stored in manifest.files] if manifest else []
    hashes = hashes or [download.sha256(part) for part in gguf.shards(file.path)]
    if len(hashes) == 1:
        return hashes[0]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()
