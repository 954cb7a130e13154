"""Loading one model beside others: within the memory that those leave, once they are full."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from minireason.backends import loading
from minireason.backends.base import Backend
from minireason.backends.local import LocalBackend
from minireason.errors import DoesNotFit, ModelFileError
from minireason.reasoner import Reasoner
from minireason.settings import LoadSettings


def open_beside(
    target: str,
    requested: LoadSettings,
    *,
    loaded: Iterable[Backend] = (),
    expected: Iterable[Path] = (),
    on_progress: Callable[[float], None] | None = None,
) -> Reasoner:
    """Load a model by name or path, and leave to those `loaded` what they may still grow by.

    There is room left too for the files `expected`, with a context that is roomy, unless the model
    would not fit then. Raises what `load` does.
    """
    taken = sum(one.reserved_bytes for one in loaded if isinstance(one, LocalBackend))
    others = sum(_needed_bytes(path, requested) for path in expected)
    try:
        backend = loading.open_model(
            target, requested, on_progress=on_progress, taken_bytes=taken + others
        )
    except DoesNotFit:
        if not others:
            raise
        backend = loading.open_model(target, requested, on_progress=on_progress, taken_bytes=taken)
    return Reasoner(backend)


def _needed_bytes(path: Path, requested: LoadSettings) -> int:
    with suppress(ModelFileError):  # who asks for it will be told
        return loading.needed_bytes(path, requested)
    return 0
