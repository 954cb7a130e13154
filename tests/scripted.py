"""A model that says what it is told, with all the rest as it is."""

from __future__ import annotations

import pytest

from minireason import Reasoner


class Scripted:
    """Says what it is told in the place of the model: each token sampled is replaced until the script is used up."""

    def __init__(
        self, reasoner: Reasoner, monkeypatch: pytest.MonkeyPatch, script: str | list[int]
    ) -> None:
        self.left = (
            reasoner._model.vocabulary.tokenize(script, parse_special=True)
            if isinstance(script, str)
            else list(script)
        )
        context, sample = reasoner._context, reasoner._context.sample
        monkeypatch.setattr(
            context,
            "sample",
            lambda *draw: self.left.pop(0) if self.left else sample(*draw),
        )
