"""A model that says what it is told, with all the rest as it is."""

from __future__ import annotations

import pytest

from minireason import Reasoner
from tests.local import local


class Scripted:
    """Replaces each token that the engine samples until the script is used up.

    Where nothing below the answer matters, `minireason.testing.ScriptedBackend` is simpler.
    """

    def __init__(
        self, reasoner: Reasoner, monkeypatch: pytest.MonkeyPatch, script: str | list[int]
    ) -> None:
        backend = local(reasoner)
        if isinstance(script, str):
            script = backend.model.vocabulary.tokenize(script, parse_special=True)
        self.left, sample = list(script), backend.context.sample
        monkeypatch.setattr(
            backend.context,
            "sample",
            lambda *draw: self.left.pop(0) if self.left else sample(*draw),
        )
