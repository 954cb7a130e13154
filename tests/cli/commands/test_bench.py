"""minireason bench: its table, its JSON, its picture, and how it ends early."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from minireason import picture
from minireason.backends import loading, tuning
from minireason.backends.tuning import Outcome, Tuner
from minireason.benchmark.run import Run
from minireason.cli.main import main
from minireason.cli.terminal.bench_report import Meter
from minireason.host import system
from tests.cli.run import assert_one_sentence, minireason
from tests.host.test_peak import TAKEN, take_and_give_back

QUICK = ("--model", "tiny", "--threads", "1", "--seconds", "1")


@pytest.mark.slow
def test_the_table_and_the_picture(tmp_path: Path) -> None:
    target = tmp_path / "bench.png"
    enough = "20"  # on a busy machine; else a few are
    result = minireason("bench", *QUICK, "--seconds", enough, "--plot", str(target))
    assert result.code == 0, result
    table = [line.split("\t") for line in result.out.splitlines() if "\t" in line]
    assert table[0] == ["", "tokens/s", "ms a token", "GB/s", "of memory", "measured on"]
    rows = {row[0]: row[1:] for row in table[1:]}
    assert {"prefill of 512", "decode at 0", "decode at 1,024", "2 chains at 1,024"} <= rows.keys()
    assert rows["decode at 0"][3].endswith("%")
    assert rows["prefill of 512"][4] == "512 tokens"
    last = result.out.splitlines()[-1]
    assert last.startswith("A thought of 2,000 tokens takes about ")
    assert last.endswith((" s here.", " min here."))
    assert "decode at 1,024 tokens of context ..." in result.err
    assert target.read_bytes().startswith(b"\x89PNG")


def test_json_is_one_object_with_the_documented_names() -> None:
    result = minireason("bench", *QUICK, "--json")
    assert result.code == 0, result
    assert result.err == ""
    report = json.loads(result.out)
    assert report["model"] == "tiny"
    assert report["machine"]["n_threads"] == 1
    assert report["decode"][0].keys() >= {"context_tokens", "tokens_per_s", "bandwidth_share"}
    page = Path("docs/guide/speed.md").read_text("utf-8")
    rows = [report, *(value for value in report.values() if isinstance(value, dict))]
    rows += [value[0] for value in report.values() if value and isinstance(value, list)]
    names = {name for row in rows if isinstance(row, dict) for name in row}
    assert [name for name in names if f"`{name}`" not in page] == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--plot", "bench.doc"), ".png, .svg, .pdf"),
        (("--plot", "nowhere/bench.png"), "no directory nowhere"),
        (("--seconds", "soon"), "--seconds soon: has to be a number from 1"),
        (("--seconds", "0"), "--seconds 0.0: has to be a number from 1"),
        (("--ctx", "9999"), "--ctx 9999: the model was trained"),
    ],
)
def test_what_cannot_be_is_refused_at_once(options: tuple[str, ...], said: str) -> None:
    assert_one_sentence(minireason("bench", "--model", "tiny", *options), 2, said)


def test_a_picture_without_matplotlib(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(picture, "find_spec", lambda _name: None)
    assert main(["bench", "--model", "tiny", "--plot", "bench.png"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "pip install 'minireason[bench]'" in said.err


def test_a_model_that_does_not_fit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = replace(loading.machine(), free_bytes=2**20)
    monkeypatch.setattr(loading, "machine", lambda measured=False: small)
    assert main(["bench", "--model", "tiny", "--json"]) == 4
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("minireason: ")
    assert len(said.err.strip().splitlines()) == 1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a peak cannot be forgotten")
def test_memory_is_that_of_the_model_and_not_of_what_was_compared_with_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def compare(_tuner: Tuner, _model: object) -> Outcome:
        take_and_give_back()
        return Outcome(None, "it was a test")

    monkeypatch.setattr(tuning, "LEAST_BYTES", 0)
    monkeypatch.setattr(Tuner, "run", compare)
    system.forget_peak()
    before = system.peak_bytes()
    assert before
    assert main(["bench", "--model", "tiny", "--seconds", "1", "--json"]) == 0
    memory = json.loads(capsys.readouterr().out)["memory"]
    assert memory["peak_bytes"] < before + TAKEN // 2


def test_ctrl_c_shows_what_was_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_meter: Meter, run: Run) -> None:
        if run.report.decode:
            raise KeyboardInterrupt

    monkeypatch.setattr(Meter, "show", interrupt)
    assert main(["bench", *QUICK, "--json"]) == 130
    said = capsys.readouterr()
    assert said.out == ""
    assert "decode at 0\t" in said.err
    assert "minireason: Stopped before all was measured." in said.err
