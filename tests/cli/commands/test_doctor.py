"""minireason doctor, in a pipe and on a terminal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from minireason.cli import here
from minireason.cli.main import main
from minireason.host import paths
from tests.cli.pseudo_terminal import Terminal
from tests.cli.run import minireason


@pytest.mark.parametrize("columns", [60, 80])
def test_the_doctor_on_a_terminal(columns: int, tmp_path: Path) -> None:
    home = tmp_path / "a-folder-with-a-name-of-more-than-sixty-characters-as-some-have"
    home.mkdir()
    terminal = Terminal("doctor", columns=columns, rows=60, env={"MINIREASON_HOME": str(home)})
    assert terminal.ended() == 0
    lines = terminal.lines
    assert str(home) in terminal.text.replace("\n", "").replace(" ", ""), "a path is not broken"
    [at] = [number for number, line in enumerate(lines) if line.startswith("  best that fits")]
    following = lines[at + 1 if columns < 80 else at].split()
    assert ":Q" in following[-1] or "minireason" in following
    words = "the built-in model adds 2 and 3"
    assert sum(words in line for line in lines) == 1


def test_the_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    result = minireason("doctor")
    assert "adds 2 and 3" in result.out
    broken = paths.data_dir() / "manifests" / "broken.json"
    broken.parent.mkdir(parents=True)
    broken.write_text("{")
    findings = json.loads(minireason("doctor", "--json").out)
    assert any(
        finding["what"] == "manifest" and "pull or import" in finding["mend"]
        for finding in findings
    )


@pytest.mark.parametrize(("cores", "words"), [(1, "1 core used;"), (8, "8 cores used;")])
def test_the_doctor_counts_cores(
    cores: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    there = replace(here.machine(), cores=cores)
    monkeypatch.setattr(here, "machine", lambda: there)
    main(["doctor"])
    assert words in capsys.readouterr().out


def test_the_doctor_says_what_slows_threads_down(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there = replace(here.machine(), cores=2)
    monkeypatch.setattr(here, "machine", lambda: there)
    monkeypatch.setenv("OMP_WAIT_POLICY", "Passive")
    main(["doctor"])
    assert "OMP_WAIT_POLICY=passive makes them slow" in capsys.readouterr().out
    monkeypatch.delenv("OMP_WAIT_POLICY")
    main(["doctor"])
    assert "2, fewer while other programs keep cores busy\n" in capsys.readouterr().out
