"""Getting models and removing them, against a loopback Hub."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from minireason.cli.main import main
from minireason.host import paths
from tests.cli.run import Running, assert_one_sentence, minireason
from tests.models.hub import Hub


def test_from_pull_to_removal(hub: Hub) -> None:
    pulled = minireason("pull", "small", "--yes", "--json")
    assert pulled.code == 0, pulled.err
    manifest = json.loads(pulled.out)
    assert manifest["source"] == "some/repo@main"
    assert minireason("pull", "small").out.startswith("small:Q8_0 is installed already")
    assert minireason("pull", "tiny").out.startswith("tiny is installed already")
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


@pytest.mark.slow
def test_a_pull_that_waited_for_another_ends_well(hub: Hub) -> None:
    hub.pause_s = 0.1
    pulls = [Running("pull", "small", "--yes") for _ in range(2)]
    ends = [pull.ended() for pull in pulls]
    assert [end.code for end in ends] == [0, 0], ends
    assert all("is installed" in end.out for end in ends)
    assert any("another process" in end.err for end in ends)
    assert hub.sent_bytes == len(hub.files["some/repo/small.gguf"])


def test_offline_says_so_at_once(hub: Hub) -> None:
    result = minireason("pull", "small", "--yes", env={"MINIREASON_OFFLINE": "1"})
    assert (result.code, "switched off" in result.err) == (6, True)
    assert hub.requests == []


def test_no_network_is_one_sentence() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    result = minireason("pull", "r1-1.5b", "--yes", env={"HF_ENDPOINT": f"http://127.0.0.1:{port}"})
    assert result.code == 6
    assert "can't be reached" in result.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (("pull", "r1-7bb"), 2, "did you mean r1-7b"),
        (("pull", "r1-7b:Q1"), 2, "r1-7b:Q4_K_M"),
        (("pull", "owner/repo"), 3, "From the Hub it is hf:owner/repo/file.gguf."),
        (("pull", "https://hub.example/a/b"), 3, "There is no file https://hub.example/a/b;"),
        (("rm", "tiny"), 2, "not an installed model"),
        (("rm",), 2, "names"),
        (("verify", "r1-7b"), 3, "minireason pull r1-7b"),
        (("import", "no-such.gguf"), 3, "There is no file"),
        (("import", "README.md"), 5, "not a GGUF"),
        (("import", "lmstudio"), 3, ".lmstudio/models or "),
        (("import", "ollama"), 3, "import a file by its path"),
    ],
)
def test_bad_input(arguments: tuple[str, ...], code: int, part: str, tmp_path: Path) -> None:
    result = minireason(*arguments, env={"HOME": str(tmp_path), "OLLAMA_MODELS": ""})
    assert_one_sentence(result, code, part)


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
