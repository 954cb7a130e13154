"""Options that change nothing are said, once each, and only where they change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.run import minireason


@pytest.mark.parametrize("command", ["ask", "solve", "chat"])
def test_what_changes_nothing_for_this_model_is_said(command: str, smollm2_path: Path) -> None:
    options = ("--effort", "low", "--no-loop-check", "--gpu-layers", "3", "--no-repack")
    arguments = (command, "--model", str(smollm2_path), *options, "--max-tokens", "2")
    err = minireason(*arguments, *(("-n", "1") if command == "solve" else ()), stdin=b"hi\n").err
    said = [
        line for line in err.splitlines() if "changes nothing" in line or "change nothing" in line
    ]
    assert len(said) == 3, err
    assert "does not think, so that --effort and --no-loop-check change nothing." in said[0]
    assert "--gpu-layers changes nothing" in said[1]
    assert "--no-repack changes nothing" in said[2]


def test_what_changes_something_is_not_told() -> None:
    arguments = ("ask", "--model", "tiny", "--effort", "low", "--gpu-layers", "0", "What is 5 + 8?")
    assert "nothing" not in minireason(*arguments).err


def test_effort_and_budget_alone_show_and_change_nothing(smollm2_path: Path) -> None:
    script = (
        "/effort\n/effort low\n/effort\n/budget\n/budget 50\n/effort\n/budget\n/effort most\n"
        "/budget 99999\nhi\n/budget max\n"
        f"/model {smollm2_path}\n/effort low\n"
    )
    err = minireason("chat", "--model", "tiny", "--thinking", "hide", stdin=script.encode()).err
    name = smollm2_path.name
    assert err.splitlines() == [
        "(thinking: as much as there is room for)",
        *["(thinking: effort low)"] * 3,
        *["(thinking: budget 50)"] * 3,
        "minireason: /effort most: has to be one of none, low, medium, high, max.",
        "(thinking: budget 99999)",
        "minireason: /budget 99999: the context holds 4096 tokens in all; "
        "ask for less, or for a larger context.",
        "(was: hi)",
        "(thinking: as much as there is room for)",
        f"({name})",
        "(thinking: effort low)",
        f"({name} does not think, so that /effort changes nothing.)",
    ]
