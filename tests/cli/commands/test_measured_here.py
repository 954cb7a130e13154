"""minireason doctor on what was measured to be faster here."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from minireason.backends import loading, tuning
from minireason.backends.tuning import Outcome
from minireason.cli.commands import measured_here
from minireason.cli.finding import Finding
from minireason.host import machine_file
from minireason.models import tuned
from tests.cli.run import minireason
from tests.models.measured import HERE, entry


def texts(findings: list[Finding]) -> str:
    return "\n".join(f"{one.what}: {one.found} {one.mend}" for one in findings)


def test_what_is_known_and_how_to_measure_again() -> None:
    assert "nothing yet" in texts(measured_here.findings())
    tuned.remember(replace(entry(), place=loading.place(loading.machine())))
    [finding] = measured_here.findings()
    for words in ("1.5B", "flash attention on", "2026-11-29", "8 replies 3.0", "--measure"):
        assert words in finding.found
    assert not finding.mend, "nothing is wrong"


def test_other_machines_and_a_damaged_file_are_said_and_no_error() -> None:
    here = loading.place(loading.machine())
    tuned.remember(replace(entry(), place=replace(here, cores=here.cores + 1)))
    tuned.remember(replace(entry(), place=replace(here, build="older")))
    said = texts(measured_here.findings())
    assert "1 on another machine, 1 with another llama.cpp" in said
    machine_file.path().write_text('{"tuned": [1]}')
    said = texts(measured_here.findings())
    assert "make no sense" in said
    machine_file.path().write_text("{")
    result = minireason("doctor", "--json")
    assert result.code == 0
    assert any("no JSON" in finding["found"] for finding in json.loads(result.out))


def test_measuring_by_request(smollm2_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = [Outcome(None, "other programs kept 0.8 CPUs busy"), Outcome(entry())]
    monkeypatch.setattr(tuning.Tuner, "run", lambda *_, **__: outcomes.pop(0))
    [finding] = measured_here.measure(str(smollm2_path))
    assert "0.8 CPUs" in finding.found
    assert "when nothing else runs" in finding.mend
    assert measured_here.measure(str(smollm2_path)) == []
    assert "nothing to choose" in measured_here.measure("tiny")[0].found
    assert HERE not in [one.place for one in tuned.load()]


def test_measuring_what_is_not_there() -> None:
    result = minireason("doctor", "--measure", "no-such-model")
    assert result.code == 1
    assert "no-such-model" in result.out
