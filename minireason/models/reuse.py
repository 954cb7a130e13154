"""GGUF files that other tools keep on this machine, to be used where they lie: huggingface_hub, Ollama, LM Studio.

Layouts: huggingface_hub's own function for its cache; Ollama's manifests and blobs/sha256-<hash>; LM Studio's
models/<publisher>/<repository>/<file>.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from minireason.host import files, paths, state
from minireason.models.catalog import Quant

_OLLAMA_MODEL = "application/vnd.ollama.image.model"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_OLLAMA_MANIFEST = {"layers": [{"mediaType": str}]}


@dataclass(frozen=True, slots=True)
class Found:
    """A file of another tool, its name there, and its sha256 where that tool's own bookkeeping says it."""

    tool: str
    name: str
    path: Path
    sha256: str | None = None


def find(quant: Quant) -> Found | None:
    """The file of a quant with one file, if another tool has it: by its hash, by repository and name, or by name and exact size."""
    if len(quant.files) != 1 or not quant.repo:
        return None
    wanted = quant.sha256[0] if quant.sha256 else None
    for found in ollama():
        if wanted and found.sha256 == wanted:
            return found
    if path := _in_hub_cache(quant):
        return Found("huggingface_hub", f"{quant.repo}/{quant.files[0]}", path)
    name = Path(quant.files[0]).name
    for found in lmstudio():
        if (
            found.path.name == name
            and not quant.approximate
            and found.path.stat().st_size == quant.bytes
        ):
            return found
    return None


def ollama() -> Iterator[Found]:
    """The model files that Ollama has pulled."""
    homes = [
        os.environ.get("OLLAMA_MODELS"),
        Path.home() / ".ollama" / "models",
        "/usr/share/ollama/.ollama/models",
    ]
    for home in (Path(entry) for entry in homes if entry):
        for manifest in _files(home / "manifests", "*"):
            known = state.read_json(manifest, _OLLAMA_MANIFEST).value or {"layers": []}
            for layer in known["layers"]:
                sha256 = str(layer.get("digest", "")).removeprefix("sha256:")
                if layer["mediaType"] != _OLLAMA_MODEL or not _SHA256.fullmatch(sha256):
                    continue
                blob = home / "blobs" / f"sha256-{sha256}"
                if blob.is_file():
                    yield Found("ollama", f"{manifest.parent.name}:{manifest.name}", blob, sha256)


def lmstudio() -> Iterator[Found]:
    """The GGUF files in LM Studio's folders; of split models the first file, projectors left out."""
    for home in (
        Path.home() / ".lmstudio" / "models",
        Path.home() / ".cache" / "lm-studio" / "models",
    ):
        for path in _files(home, "*.gguf"):
            if "mmproj" not in path.name and ("-of-" not in path.name or "-00001-of-" in path.name):
                yield Found("lmstudio", path.stem, path)


def _in_hub_cache(quant: Quant) -> Path | None:
    try:
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.constants import HF_HUB_CACHE
    except ImportError:
        return None
    if not Path(HF_HUB_CACHE).is_dir():
        return None
    try:
        found = try_to_load_from_cache(quant.repo, quant.files[0], revision=quant.revision)
    except (OSError, ValueError):  # a name that the Hub does not allow
        return None
    path = Path(found) if isinstance(found, str) else None
    return path if path and path.is_file() and paths.models_dir() not in path.parents else None


def _files(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(path for path in folder.rglob(pattern) if files.is_file(path))
    except OSError:
        return []
