"""The parts of a model that runs in this process, for tests that look at the engine below it."""

from __future__ import annotations

from minireason import Reasoner
from minireason.backends.local import LocalBackend


def local(reasoner: Reasoner) -> LocalBackend:
    """The backend of a loaded model: its `context`, `model`, `scheduler` and `encoder`."""
    assert isinstance(reasoner.backend, LocalBackend)
    return reasoner.backend
