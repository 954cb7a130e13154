"""Where model files lie, and what is installed."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from minireason.errors import NotInstalled
from minireason.models import catalog
from minireason.models.catalog import ModelSpec


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file to load and what to call it; `trusted` if it came with the package."""

    path: Path
    label: str
    trusted: bool = False


def models_dir() -> Path:
    """Where named models are looked for: $MINIREASON_HOME/models, else the platform's directory for user data."""
    if home := os.environ.get("MINIREASON_HOME"):
        return Path(home).expanduser() / "models"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "minireason" / "models"


def is_path(model: str) -> bool:
    """Whether a model argument means a file: it ends in .gguf, has a separator, or names an existing file."""
    return model.lower().endswith(".gguf") or "/" in model or os.sep in model or Path(model).is_file()


def find(model: str) -> ModelFile:
    """The file for a catalogue name, "name:QUANT" or path; raises UnknownModel or NotInstalled."""
    if is_path(model):
        path = Path(model).expanduser()
        if not path.exists():
            raise NotInstalled(f"There is no file {path}; check the path, or name a model of the catalogue such as r1-7b.", path.parent)
        return ModelFile(path, path.name)
    spec, quant = catalog.resolve(model)
    found = _installed(spec, quant)
    if found is None:
        files = spec.files[quant or spec.default_quant]
        message = f"{spec.name} is not installed; put {files} into {models_dir()}, or give the path of the file."
        raise NotInstalled(message, models_dir())
    return found


def installed() -> list[tuple[ModelSpec, ModelFile]]:
    """Every named model with a file on this machine, the one with the most parameters first, built-in ones left out."""
    specs = sorted((spec for spec in catalog.load() if not spec.built_in), key=lambda spec: -spec.params)
    return [(spec, file) for spec in specs if (file := _installed(spec, None))]


def was_opened(path: Path) -> bool:
    """Whether this very file (name, size and time of change) was opened without harm before."""
    return _identity(path) in _opened()


def remember_opened(path: Path) -> None:
    """Note that a file was opened without harm; where nothing may be written, it is tried again next time."""
    known = [entry for entry in _opened() if entry[0] != _identity(path)[0]]
    try:
        _opened_file().parent.mkdir(parents=True, exist_ok=True)
        _opened_file().write_text(json.dumps([*known[-200:], _identity(path)]))
    except OSError:
        return


def _opened_file() -> Path:
    return models_dir().parent / "opened.json"


def _opened() -> list[list[str | int]]:
    try:
        entries = json.loads(_opened_file().read_text("utf-8"))
    except (OSError, ValueError):
        return []
    return [entry for entry in entries if isinstance(entry, list) and len(entry) == 3] if isinstance(entries, list) else []


def _identity(path: Path) -> list[str | int]:
    status = path.stat()
    return [str(path.resolve()), status.st_size, status.st_mtime_ns]


def _installed(spec: ModelSpec, quant: str | None) -> ModelFile | None:
    if spec.built_in:
        return ModelFile(Path(str(resources.files("minireason.tiny").joinpath(spec.files[spec.default_quant]))), spec.name, trusted=True)
    order = [quant] if quant else [spec.default_quant, *(name for name in spec.files if name != spec.default_quant)]
    for name in order:
        path = models_dir() / spec.files[name]
        if path.is_file():
            return ModelFile(path, f"{spec.name}:{name}")
    return None
