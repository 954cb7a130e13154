"""The commands about models, as a user has them: processes of their own, against a loopback Hub."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from minireason.cli import here
from minireason.cli.main import main
from minireason.host import paths
from minireason.models import recommend, store
from tests.cli.pseudo_terminal import Terminal
from tests.cli.run import COMMAND, assert_one_sentence, minireason
from tests.models.hub import Hub


@pytest.fixture
def hub(tiny_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    server = Hub({"some/repo/small.gguf": tiny_path.read_bytes()})
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    paths.config_dir().mkdir(parents=True, exist_ok=True)
    (paths.config_dir() / "models.toml").write_text(
        '[small]\n[small.quants.Q8_0]\nrepo = "some/repo"\nfiles = ["small.gguf"]\n'
    )
    yield server
    server.close()


def test_from_pull_to_removal(hub: Hub) -> None:
    pulled = minireason("pull", "small", "--yes", "--json")
    assert pulled.code == 0, pulled.err
    manifest = json.loads(pulled.out)
    assert manifest["source"] == "some/repo@main"
    assert minireason("pull", "small").out.startswith("small:Q8_0 is installed already")
    listed = json.loads(minireason("models", "--json").out)
    assert next(entry for entry in listed if entry["model"] == "small:Q8_0")["installed"]
    asked = minireason(
        "ask", "--offline", "--model", "small", "What is 5 + 8?", "--temperature", "0"
    )
    assert asked.out == "The answer is \\boxed{13}.\n"
    assert json.loads(minireason("verify", "--json").out) == [
        {"model": "small:Q8_0", "ok": True, "problem": None}
    ]
    path = Path(manifest["files"][0]["path"])
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    damaged = minireason("verify", "small")
    assert (damaged.code, "damaged" in damaged.out) == (6, True)
    size = path.stat().st_size
    assert json.loads(minireason("rm", "small", "--json").out) == {
        "removed": "small:Q8_0",
        "freed_bytes": size,
    }
    assert not path.exists()
    assert_one_sentence(minireason("rm", "small"), 3, "small is not installed, so that there is")


def test_a_file_of_the_hub_by_its_address(hub: Hub) -> None:
    name = "hf:some/repo/small.gguf"
    assert minireason("pull", name).code == 0
    assert (
        minireason("ask", "--model", name, "What is 5 + 8?", "--temperature", "0").out
        == "The answer is \\boxed{13}.\n"
    )
    assert_one_sentence(
        minireason("pull", "hf:some/repo/../../etc/small.gguf"), 2, "hf:owner/repo/file.gguf"
    )


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


def test_what_does_not_fit_is_said_before_a_byte_is_fetched(hub: Hub) -> None:
    """Four terabytes are more than any machine that runs these tests has."""
    (paths.config_dir() / "models.toml").write_text(
        "[small]\ncontext = 131072\n"
        'shape = { arch = "llama", layers = 80, heads = 64, kv_heads = 8, head_dim = 128, '
        "hidden = 8192, feed_forward = 28672, vocab = 128256 }\n"
        '[small.quants.Q8_0]\nrepo = "some/repo"\nfiles = ["small.gguf"]\n'
        "bytes = 4_000_000_000_000\n"
    )
    result = minireason("pull", "small")
    assert result.code == 4
    assert "GiB" in result.err.splitlines()[-1]
    assert hub.requests == []


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (("pull", "r1-7bb"), 2, "did you mean r1-7b"),
        (("pull", "r1-7b:Q1"), 2, "r1-7b:Q4_K_M"),
        (("pull", "tiny"), 2, "comes with minireason"),
        (("rm", "tiny"), 2, "not an installed model"),
        (("rm",), 2, "names"),
        (("verify", "r1-7b"), 3, "minireason pull r1-7b"),
        (("import", "no-such.gguf"), 3, "There is no file"),
        (("import", "README.md"), 5, "not a GGUF"),
        (("import", "lmstudio"), 3, "No models of lmstudio"),
    ],
)
def test_bad_input(arguments: tuple[str, ...], code: int, part: str, tmp_path: Path) -> None:
    result = minireason(*arguments, env={"HOME": str(tmp_path), "OLLAMA_MODELS": ""})
    assert_one_sentence(result, code, part)


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


def test_a_pull_that_waited_for_another_ends_well(hub: Hub) -> None:
    hub.pause_s = 0.1
    command = [*COMMAND, "pull", "small", "--yes"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    pulls = [subprocess.Popen(command, **pipes) for _ in range(2)]
    ends = [(*pull.communicate(timeout=120), pull.returncode) for pull in pulls]
    assert [code for _, _, code in ends] == [0, 0], ends
    assert all("is installed" in out for out, _, _ in ends)
    assert any("another process" in err for _, err, _ in ends)
    assert hub.sent_bytes == len(hub.files["some/repo/small.gguf"])


def test_offline_says_so_at_once(hub: Hub) -> None:
    result = minireason("pull", "small", "--yes", env={"MINIREASON_OFFLINE": "1"})
    assert (result.code, "switched off" in result.err) == (6, True)
    assert hub.requests == []


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


def test_no_network_is_one_sentence() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    result = minireason("pull", "r1-1.5b", "--yes", env={"HF_ENDPOINT": f"http://127.0.0.1:{port}"})
    assert result.code == 6
    assert "can't be reached" in result.err.splitlines()[-1]


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


@pytest.mark.parametrize("command", ["pull", "show", "rm"])
def test_what_takes_a_name_says_what_is_true_of_a_path(
    command: str, tmp_path: Path, tiny_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, mine = tmp_path / "notes.gguf", tmp_path / "mine.gguf"
    text.write_text("no model")
    mine.write_bytes(tiny_path.read_bytes())
    for name, code, part in [
        (f"{tmp_path}/none.gguf", 3, "There is no file"),
        (str(tmp_path), 2, "is a directory; this takes the name of a model"),
        (str(text), 5, "not a GGUF"),
        (str(mine), 2, "is a model's file without a name: minireason import gives it one"),
        ("notes.txt", 2, "There is no model named 'notes.txt'"),
    ]:
        assert main([command, name]) == code
        said = capsys.readouterr().err
        assert part in said
        assert "A path to" not in said, "it does not"
        assert "r1-7b." not in said
    assert main(["import", str(mine)]) == 0
    assert main([command, str(mine)]) == 2
    assert "is the file of mine; give that name instead." in capsys.readouterr().err
    assert mine.exists()


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
    assert f"The best R1 distill that fits: {best}." in listed.err
    main(["doctor"])
    assert f"  best that fits   {best}\n" in capsys.readouterr().out
    assert main(["ask", "hi"]) == 3
    assert f"the best that fits here: minireason pull {best}," in capsys.readouterr().err
    assert main(["pull", "r1-70b"]) == 4
    assert f"{best} fits." in capsys.readouterr().err
