"""The lists of models, and models that were imported, as a user has them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from minireason.cli import here
from minireason.cli.main import main
from minireason.host import paths
from minireason.models import recommend, store
from tests.cli.pseudo_terminal import Terminal
from tests.cli.run import assert_one_sentence, minireason
from tests.models.hub import Hub


def test_the_table_of_models() -> None:
    result = minireason("models")
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0].startswith("model\t")
    assert any(line.startswith("r1-7b:Q4_K_M\t4.7\t") for line in lines)
    entries = {entry["model"]: entry for entry in json.loads(minireason("models", "--json").out)}
    assert entries["tiny"]["verdict"] == "fits"
    assert entries["r1-7b:Q4_K_M"]["scores"]["aime24"] == 55.5
    assert entries["r1-7b:Q4_K_M"]["needed_bytes"] > entries["r1-7b:Q4_K_M"]["bytes"]
    shown = json.loads(minireason("show", "r1-7b", "--json").out)
    assert "Q8_0" in [quant["model"].partition(":")[2] for quant in shown["quants"]]
    assert "sha256" in minireason("show", "r1-7b:Q4_K_M").out


def test_an_entry_that_makes_no_sense_names_its_line_and_costs_no_other_model(hub: Hub) -> None:
    entry = '[small]\nparams = "many"\n[small.quants.Q8_0]\nrepo = "a/b"\nfiles = ["x.gguf"]\n'
    good = '[good.quants.Q8_0]\nrepo = "a/b"\nfiles = ["y.gguf"]\n'
    (paths.config_dir() / "models.toml").write_text(entry + good)
    problem = "models.toml, line 2: small.params has to be a whole number"
    listed = minireason("models")
    assert (listed.code, "good:Q8_0" in listed.out, "r1-7b" in listed.out) == (0, True, True)
    assert problem in listed.err
    assert_one_sentence(minireason("pull", "small"), 2, problem)
    assert problem in minireason("doctor").out
    assert minireason("show", "good").code == 0
    assert "That model is left out." in listed.err


def test_a_list_of_ones_own_that_is_no_toml_is_left_out_whole(hub: Hub) -> None:
    (paths.config_dir() / "models.toml").write_text("[[[")
    listed = minireason("models")
    assert (listed.code, "r1-7b" in listed.out) == (0, True)
    assert "The whole file is left out." in listed.err


def test_an_import_is_a_model_like_any_other(tiny_path: Path) -> None:
    assert (
        json.loads(minireason("import", str(tiny_path), "--name", "mine", "--json").out)["name"]
        == "mine"
    )
    assert (
        minireason("ask", "--model", "mine", "What is 5 + 8?", "--temperature", "0").out
        == "The answer is \\boxed{13}.\n"
    )
    assert_one_sentence(minireason("import", str(tiny_path), "--name", "r1-7b"), 2, "catalogue")
    assert minireason("rm", "mine").code == 0
    assert tiny_path.exists()


def test_an_import_is_a_model_everywhere(smollm2_path: Path, tiny_path: Path) -> None:
    """In the table with fit and speed, in show, and as what is taken where no model is named."""
    assert minireason("import", str(smollm2_path), "--name", "Small").code == 0
    entries = {entry["model"]: entry for entry in json.loads(minireason("models", "--json").out)}
    assert entries["small"]["verdict"] == "fits"
    assert entries["small"]["tokens_per_s"] > 0
    assert entries["small"]["needed_bytes"] > entries["small"]["bytes"] > 90e6
    shown = json.loads(minireason("show", "SMALL", "--json").out)
    assert shown.keys() == json.loads(minireason("show", "r1-7b", "--json").out).keys()
    assert 120e6 < shown["params"] < 150e6
    assert (shown["licence"], shown["context"]) == ("apache-2.0", 8192)
    assert shown["quants"][0]["path"] == str(smollm2_path)
    said = minireason("show", "small").out
    assert "0.1 billion parameters, 8,192 tokens of context" in said
    assert f"imported from {smollm2_path}" in said
    alone = minireason("ask", "--max-tokens", "2", "--json", "hi")
    assert json.loads(alone.out)["model"] == "small"
    assert minireason("import", str(tiny_path), "--name", "thinker").code == 0
    asked = minireason("ask", "--json", "What is 5 + 8?")
    assert json.loads(asked.out)["model"] == "thinker", "one that thinks goes before"
    assert_one_sentence(minireason("show", "smal"), 2, "did you mean small?")


def test_an_import_whose_file_is_gone_is_listed_and_shown(tiny_path: Path, tmp_path: Path) -> None:
    file = tmp_path / "gone.gguf"
    file.write_bytes(tiny_path.read_bytes())
    minireason("import", str(file))
    file.unlink()
    entry = json.loads(minireason("models", "--json").out)[-1]
    assert (entry["model"], entry["installed"], entry["verdict"]) == ("gone", False, "unknown")
    assert minireason("show", "gone").code == 0
    assert_one_sentence(minireason("ask", "hi"), 3, "No model is installed")


def test_installed_models_load_without_a_network(tiny_path: Path) -> None:
    """Every socket is refused in that process."""
    minireason("import", str(tiny_path), "--name", "mine")
    script = (
        "import socket, sys\n"
        "def refuse(*_, **__): raise AssertionError('a network call')\n"
        "socket.socket.connect = socket.socket.connect_ex = refuse\n"
        "socket.getaddrinfo = refuse\n"
        "from minireason.cli.main import main\n"
        "sys.exit(main(['ask', '--model', 'mine', '--temperature', '0', 'What is 5 + 8?']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "The answer is \\boxed{13}.\n"), done.stderr


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_the_table_of_models_on_a_terminal(columns: int, tiny_path: Path) -> None:
    """No name is broken and no line wrapped: columns are left out instead."""
    long = "a-model-with-a-name-of-some-seventy-characters-as-files-of-the-hub-have"
    for name in (long, "mine"):
        file = store.StoredFile(str(tiny_path), tiny_path.stat().st_size, "")
        store.note(store.Manifest(name, "", (file,), "imported"))
    terminal = Terminal("models", columns=columns, rows=40)
    assert terminal.ended() == 0
    lines = terminal.lines
    for name in ("tiny", "r1-7b:Q4_K_M", "deepscaler-1.5b:Q4_K_M", "mine"):
        assert sum(line.split()[0] == name for line in lines) == 1
    head = lines[0].split()
    assert (head[0], head[-1]) == ("model", "installed")
    assert ("tokens/s" in lines[0], "MATH-500" in lines[0]) == (columns > 60, columns > 80)
    assert ("not shown for want of width" in terminal.text) == (columns < 120)
    [row] = [line for line in lines if line.startswith("r1-32b")]
    assert row.split()[1] != "fits" or len(row) <= columns
    assert long in "".join(lines)


def test_names_complete_in_a_shell() -> None:
    environment = {
        "_MINIREASON_COMPLETE": "complete_bash",
        "COMP_WORDS": "minireason pull r1-7",
        "COMP_CWORD": "2",
    }
    done = subprocess.run(
        [str(Path(sys.executable).with_name("minireason"))],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["r1-7b", "r1-70b"]


@pytest.mark.parametrize(("bytes_per_s", "quant"), [(1e12, "r1-14b:"), (8e9, "r1-1.5b:Q4_K_M")])
def test_one_model_is_recommended_everywhere(
    bytes_per_s: float,
    quant: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Also where the machine is too slow for the usual quant of the smallest model."""
    machine = replace(
        here.machine(), free_bytes=16 * 2**30, gpus=(), bandwidth_bytes_per_s=bytes_per_s
    )
    monkeypatch.setattr(here, "machine", lambda: machine)
    best = store.label(*recommend.best(machine))
    assert best.startswith(quant)
    assert main(["models"]) == 0
    listed = capsys.readouterr()
    assert best in [line.split("\t")[0] for line in listed.out.splitlines()]
    assert f"The R1 distill to take here, by memory and speed: {best}." in listed.err
    main(["doctor"])
    assert f"  best that fits   {best}\n" in capsys.readouterr().out
    assert main(["ask", "hi"]) == 3
    assert f"the best for this machine: minireason pull {best}," in capsys.readouterr().err
    assert main(["pull", "r1-70b"]) == 4
    assert f"{best} fits, the " in capsys.readouterr().err
