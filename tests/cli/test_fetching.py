from __future__ import annotations

import pytest

from minireason import NotInstalled
from minireason.cli import fetching
from minireason.cli.terminal import notes


def test_offline_nobody_is_asked_whether_to_fetch_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def confirmed(question: str, *, default: bool) -> bool:
        asked.append(question)
        return not default

    monkeypatch.setattr(notes, "can_ask", lambda: True)
    monkeypatch.setattr(notes, "confirmed", confirmed)
    with pytest.raises(NotInstalled, match="No model is installed; the best for this machine"):
        fetching.offer()
    assert len(asked) == 1
    monkeypatch.setenv("MINIREASON_OFFLINE", "1")
    with pytest.raises(NotInstalled, match="the network is switched off"):
        fetching.offer()
    assert len(asked) == 1
