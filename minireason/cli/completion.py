"""Names of models for the shell's completion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from minireason.models import catalog, store


def complete_installed(start: str) -> Iterator[str]:
    """Names of installed models, but for those that nobody can type."""
    names = [manifest.label for manifest in store.manifests()] + [
        file.label for _, file in store.installed()
    ]
    yield from sorted({name for name in names if name.startswith(start) and name.isprintable()})


def complete_model(start: str) -> Iterator[str]:
    """Names of all models."""
    yield from (spec.name for spec in catalog.load() if spec.name.startswith(start))
    yield from complete_installed(start)


ModelName = Annotated[
    str,
    typer.Argument(
        help="NAME, NAME:QUANT or hf:owner/repo/file.gguf.",
        autocompletion=complete_model,
        show_default=False,
    ),
]
"""The argument of commands that take any model, by its name."""
