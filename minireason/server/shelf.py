"""What is installed on this machine, as a server lists it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from minireason.errors import ModelFileError
from minireason.models import catalog, gguf, store
from minireason.server.base import ModelEntry

_THOUGHT_ENDS = "</think>"


class Shelf:
    """The installed models; the header of each file is read once, which takes some 20 ms."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int], tuple[bool, int]] = {}

    def entries(self) -> Iterator[ModelEntry]:
        """Those of the catalogue, then those beside it; none counts as loaded."""
        noted = store.manifests()
        seen = set()
        for spec in catalog.load():
            for quant in spec.quants.values():
                file = store.installed_file(spec, quant, noted)
                if file and file.label not in seen:
                    seen.add(file.label)
                    yield self.entry(file.label, file.path)
        for manifest in noted:
            if manifest.label not in seen and manifest.path.is_file():
                yield self.entry(manifest.label, manifest.path)

    def entry(self, label: str, path: Path) -> ModelEntry:
        """What there is to say of a file; of a split model the size is that of its first part."""
        try:
            facts = path.stat()
            thinks, n_ctx = self._header(path, facts)
        except (OSError, ModelFileError):  # gone or damaged; loading it will tell
            return ModelEntry(label, False, 0, False, 0, 0)
        thinks = thinks or catalog.thinks(label)
        created = int(facts.st_mtime)
        return ModelEntry(label, thinks, n_ctx, False, facts.st_size, created, path)

    def _header(self, path: Path, facts: os.stat_result) -> tuple[bool, int]:
        """Whether the template knows thoughts, and the context that the model was trained for."""
        key = (str(path), facts.st_size, facts.st_mtime_ns)
        if key not in self._known:
            header = gguf.check(path)
            thinks = _THOUGHT_ENDS in (header.chat_template or "")
            self._known[key] = (thinks, header.number("context_length"))
        return self._known[key]
