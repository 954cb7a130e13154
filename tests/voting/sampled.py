"""What was really generated: counted at the one place that every token passes."""

from __future__ import annotations

import pytest

from minireason.engine.base import Step
from minireason.reasoning.controller import Controller


def sampled_tokens(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The tokens, forced ones too, that sequences get from now on; the list grows with them."""
    sampled: list[int] = []
    on_token = Controller.on_token

    def counted(self: Controller, token: int, draw: int) -> Step:
        step = on_token(self, token, draw)
        sampled.extend(step.append)
        return step

    monkeypatch.setattr(Controller, "on_token", counted)
    return sampled
