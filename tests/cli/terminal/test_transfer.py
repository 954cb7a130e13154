"""What is waited for, on a terminal: one line, whose numbers are whole."""

from __future__ import annotations

import pytest

from minireason.cli.terminal.transfer import Transfer
from tests.cli.seen import lines_of, stand_in

FILE = "DeepSeek-R1-Distill-Qwen-7B-Q4_K_M.gguf"


@pytest.mark.parametrize("columns", [30, 60, 80, 120])
def test_a_transfer_takes_one_line(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = stand_in(columns, 10, monkeypatch)
    with Transfer() as transfer:
        transfer.watch.step(f"fetching {FILE}")
        transfer.watch.bytes(4 * 10**9, 5 * 10**9)
    [line] = filter(None, lines_of(screen))
    assert "4.0/5.0 GB" in line
    assert (FILE in line) == (columns == 120)


def test_where_nobody_knows_how_many_bytes_there_are_none_are_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = stand_in(80, 10, monkeypatch)
    with Transfer() as transfer:
        transfer.watch.step("asking the Hub")
    assert list(filter(None, lines_of(screen))) == ["asking the Hub"]
