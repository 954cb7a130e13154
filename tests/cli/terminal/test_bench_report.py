"""A benchmark on a terminal: one line while it runs, and tables that fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest

from minireason.benchmark.report import (
    Chains,
    Decode,
    FirstReply,
    Machine,
    Memory,
    Prefill,
    Report,
    Thought,
    beside_bandwidth,
)
from minireason.benchmark.run import Run
from minireason.cli.terminal import bench_report
from minireason.cli.terminal.bench_report import Meter
from tests.cli.seen import lines_of, stand_in

MACHINE = Machine(
    "0.1.0", "0.3.36", 2, 2, 0, "f16", flash_attention=True, repack=True, n_ubatch=128
)
EMPTY = Report("r1-7b:Q4_K_M", MACHINE, load_s=12.4, trial_run=True)
WHOLE = Report(
    "r1-7b:Q4_K_M",
    MACHINE,
    load_s=0.4,
    trial_run=False,
    reply=FirstReply(14, 0.31, 64, 9.9),
    prefill=(Prefill(512, 20.0, 25.6),),
    decode=(Decode(0, 32, 4.0, 8.0, 35e9), Decode(1024, 30, 4.0, 7.5, 35e9)),
    chains=(Chains(1, 1024, 30, 4.0, 7.5), Chains(16, 1024, 1024, 60.0, 17.07)),
    memory=Memory(5 * 2**30, 7 * 2**30, 6 * 2**30, 8192, 4 * 2**30),
    thought=Thought(2000, 261.4),
    left_out=("decode at 8,192 tokens of context: it would take about 250 s more.",),
    seconds=123.4,
    other_cpus=0.7,
)


@dataclass
class Seen:
    """What the bar asks of a run."""

    doing: str
    spent_s: float
    left_s: float | None


def shown(columns: int, monkeypatch: pytest.MonkeyPatch, *moments: Seen) -> list[str]:
    screen = stand_in(columns, 10, monkeypatch)
    monkeypatch.setattr(bench_report, "DRAW_EVERY_S", 0.0)
    with Meter(quiet=True) as meter:
        for moment in moments:
            meter.show(cast("Run", moment))
        return list(filter(None, lines_of(screen)))


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_the_bar_takes_one_line_and_says_what_is_left(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    [line] = shown(columns, monkeypatch, Seen("the first reply", 1.0, None))
    assert line.startswith("the first reply")
    assert "left" not in line
    moment = Seen("decode at 1,024 tokens of context", 12.0, 48.2)
    [line] = shown(columns, monkeypatch, moment)
    assert line.startswith(moment.doing)
    assert line.endswith("about 48 s left")


def test_in_a_pipe_each_measurement_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Meter(quiet=False) as meter:
        for doing in ("the first reply", "the first reply", "decode at 0 tokens of context"):
            meter.show(cast("Run", Seen(doing, 1.0, 2.0)))
    assert capsys.readouterr().err == "the first reply ...\ndecode at 0 tokens of context ...\n"


@pytest.mark.parametrize("columns", [50, 80, 120])
def test_the_table_fits_and_leaves_whole_columns_out(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = stand_in(columns, 50, monkeypatch)
    bench_report.show(beside_bandwidth(WHOLE, 50e9))
    lines = list(filter(None, lines_of(screen)))
    [row] = [line for line in lines if line.startswith("16 chains at 1,024")]
    assert row.split()[4] == "17.1"
    [row] = [line for line in lines if line.startswith("decode at 0")]
    assert row.split()[3] == "8.0"
    assert "70%" in row
    assert ("32 tokens" in row) == (columns >= 80)
    assert any(line.startswith("first answer token  9.9 s after 64 tokens") for line in lines)
    text = " ".join(" ".join(lines).split())
    assert text.endswith("A thought of 2,000 tokens takes about 4.4 min here.")
    assert "5.0 GiB with one chain; 7.0 GiB with 16; planned 6.0 GiB for one with all 8,192" in text
    assert "Other programs kept 0.7 CPUs busy meanwhile" in text
    assert "Left out: decode at 8,192 tokens of context:" in " ".join(lines)


def test_what_was_interrupted_early_shows_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    bench_report.show(EMPTY, errors=True)
    said = capsys.readouterr()
    assert said.out == ""
    assert "load          12 s, with the trial run of a new file" in said.err
    assert bench_report.sentence_of(EMPTY) == ""
