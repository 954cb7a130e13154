"""GGUF files of huggingface_hub, Ollama and LM Studio, to be used where they lie.

Layouts: huggingface_hub's own function for its cache; Ollama's manifests and blobs/sha256-<hash>;
LM Studio's models/<publisher>/<repository>/<file>.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from minireason.host import files, paths, state
from minireason.models.spec import Quant

_OLLAMA_MODEL = "application/vnd.ollama.image.model"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_OLLAMA_MANIFEST = {"layers": [{"mediaType": str}]}


@dataclass(frozen=True, slots=True)
class OtherFile:
    """A file of another tool."""

    tool: str
    """The tool."""

    name: str
    """What the tool calls it."""

    path: Path
    """Where it lies."""

    sha256: str | None = None
    """Its hash, where the tool's own bookkeeping says it."""


def find(quant: Quant) -> OtherFile | None:
    """The file of a quant, if it has only one and another tool has that.

    Ollama's by its hash, huggingface_hub's by repository and name, LM Studio's by name and size.
    """
    if len(quant.files) != 1 or not quant.repo:
        return None
    if quant.sha256:
        for file in ollama():
            if file.sha256 == quant.sha256[0]:
                return file
    if path := _in_hub_cache(quant):
        return OtherFile("huggingface_hub", f"{quant.repo}/{quant.files[0]}", path)
    if not quant.approximate:
        name = Path(quant.files[0]).name
        for file in lmstudio():
            if file.path.name == name and file.path.stat().st_size == quant.bytes:
                return file
    return None


def ollama_folders() -> list[Path]:
    """Where Ollama keeps models: its setting, a user's own, those of its system service."""
    homes = [
        os.environ.get("OLLAMA_MODELS"),
        Path.home() / ".ollama" / "models",
        "/usr/share/ollama/.ollama/models",
    ]
    return [Path(entry) for entry in homes if entry]


def lmstudio_folders() -> list[Path]:
    """Where LM Studio keeps models, by now and earlier."""
    return [Path.home() / ".lmstudio" / "models", Path.home() / ".cache" / "lm-studio" / "models"]


def ollama() -> Iterator[OtherFile]:
    """The model files that Ollama has pulled."""
    for home in ollama_folders():
        for manifest in _files(home / "manifests", "*"):
            known = state.read_json(manifest, _OLLAMA_MANIFEST).value or {"layers": []}
            for layer in known["layers"]:
                sha256 = str(layer.get("digest", "")).removeprefix("sha256:")
                if layer["mediaType"] != _OLLAMA_MODEL or not _SHA256.fullmatch(sha256):
                    continue
                blob = home / "blobs" / f"sha256-{sha256}"
                if blob.is_file():
                    name = f"{manifest.parent.name}:{manifest.name}"
                    yield OtherFile("ollama", name, blob, sha256)


def lmstudio() -> Iterator[OtherFile]:
    """The GGUF files in LM Studio's folders.

    Of split models the first file, and no projectors of images.
    """
    for home in lmstudio_folders():
        for path in _files(home, "*.gguf"):
            is_first = "-of-" not in path.name or "-00001-of-" in path.name
            if is_first and "mmproj" not in path.name:
                yield OtherFile("lmstudio", path.stem, path)


def _in_hub_cache(quant: Quant) -> Path | None:
    try:
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.constants import HF_HUB_CACHE
    except ImportError:
        return None
    if not Path(HF_HUB_CACHE).is_dir():
        return None
    try:
        cached = try_to_load_from_cache(quant.repo, quant.files[0], revision=quant.revision)
    except (OSError, ValueError):  # a name that the Hub does not allow
        return None
    if not isinstance(cached, str):
        return None
    path = Path(cached)
    return path if path.is_file() and paths.models_dir() not in path.parents else None


def _files(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(path for path in folder.rglob(pattern) if files.is_file(path))
    except OSError:
        return []
