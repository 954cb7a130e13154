from __future__ import annotations

import pytest

from minireason.cli.terminal import meter as meters
from minireason.cli.terminal.meter import Meter


def test_lines_in_a_pipe_come_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Meter(1000, "chains", quiet=False) as meter:
        meter.show(1, 100)
        assert capsys.readouterr().err == "", "not yet"
        monkeypatch.setattr(meters, "LINE_EVERY_S", 0.0)
        meter.show(999, 1000)
    assert capsys.readouterr().err.startswith("999 of 1,000 chains, ")
    with Meter(1000, "chains", quiet=True) as meter:
        meter.show(1, 100)
    assert capsys.readouterr().err == ""
