"""Models beside the catalogue, imported or fetched by address: their file says what it would."""

from __future__ import annotations

from dataclasses import dataclass

from minireason.errors import ModelFileError
from minireason.models import catalog, gguf, shape, store
from minireason.models.gguf_header import Header
from minireason.models.shape import Shape
from minireason.models.store import Manifest

_THOUGHT_ENDS = "</think>"


@dataclass(frozen=True, slots=True)
class Imported:
    """An installed model beside the catalogue."""

    manifest: Manifest
    """Its manifest."""

    header: Header | None
    """What its file says; None where it cannot be run."""

    @property
    def label(self) -> str:
        """What it is asked for by."""
        return self.manifest.label

    @property
    def bytes(self) -> int:
        """The size of all its files."""
        return sum(file.bytes for file in self.manifest.files)

    @property
    def shape(self) -> Shape | None:
        """Its dimensions; None without a header."""
        return shape.of(self.header) if self.header else None

    @property
    def thinks(self) -> bool:
        """Whether its template knows thoughts."""
        return self.header is not None and _THOUGHT_ENDS in (self.header.chat_template or "")

    def text(self, key: str) -> str:
        """A text of the header, such as "general.license"; "" where it has none."""
        value = self.header.metadata.get(key) if self.header else None
        return value if isinstance(value, str) else ""


def listed() -> list[Imported]:
    """All models beside the catalogue, the oldest first."""
    known = {spec.name for spec in catalog.load()}
    return [_read(entry) for entry in store.manifests() if entry.name not in known]


def find(name: str) -> Imported | None:
    """The one with this name, in any case; None where there is none."""
    requested = name.strip().lower()
    known = {spec.name for spec in catalog.load()}
    for entry in store.manifests():
        if requested == entry.label.lower() and entry.name not in known:
            return _read(entry)
    return None


def _read(manifest: Manifest) -> Imported:
    try:
        return Imported(manifest, gguf.check(manifest.path))
    except ModelFileError:
        return Imported(manifest, None)
