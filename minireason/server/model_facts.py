"""What a model's file says of it, for the APIs that tell clients so."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from minireason.errors import MinireasonError
from minireason.models import catalog, cost, file_types, gguf, shape, store
from minireason.models.store import ModelFile
from minireason.server.base import ModelEntry

_QUICKLY_HASHED_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Facts:
    """A model, as far as its file tells; all empty where it has none here."""

    architecture: str = ""
    """The kind of model, such as "qwen2"."""

    parameters: int = 0
    """How many parameters it has."""

    quant: str = ""
    """The quantization of its weights, such as "Q4_K_M"."""

    template: str = ""
    """The Jinja template of its conversations."""

    licence: str = ""
    """The name of its licence."""

    digest: str = ""
    """The sha256 of its (first) file; "" where nobody has computed it."""

    metadata: Mapping[str, Any] = field(default_factory=dict)
    """The numbers and short texts of the file's header."""


def facts(entry: ModelEntry) -> Facts:
    """The facts of a model; reads its header the first time."""
    with suppress(MinireasonError, OSError):
        path = entry.path or store.find(entry.name).path
        stat = path.stat()
        return _read(ModelFile(path, entry.name), stat.st_size, stat.st_mtime_ns)
    return Facts()


@functools.lru_cache(maxsize=256)
def _read(file: ModelFile, size: int, _changed: int) -> Facts:
    header = gguf.check(file.path)
    metadata = header.metadata
    return Facts(
        architecture=header.architecture,
        parameters=cost.parameters(shape.of(header)),
        quant=file_types.name_of(header),
        template=header.chat_template or "",
        licence=_licence(file.label) or str(metadata.get("general.license", "")),
        digest=_digest(file, size),
        metadata={key: value for key, value in metadata.items() if _is_short(value)},
    )


def _is_short(value: object) -> bool:
    return not isinstance(value, str) or len(value) <= 256


def _licence(label: str) -> str:
    """The licence in the catalogue; "" for a model beside it."""
    with suppress(MinireasonError):
        return catalog.find(label)[0].licence
    return ""


def _digest(file: ModelFile, size: int) -> str:
    """The sha256 noted when it was installed, else that of a small file."""
    manifest = next((entry for entry in store.manifests() if entry.path == file.path), None)
    if manifest:
        return manifest.files[0].sha256
    return store.fingerprint(file) if size <= _QUICKLY_HASHED_BYTES else ""
