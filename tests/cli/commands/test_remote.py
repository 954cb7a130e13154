"""--url, with a URL or a name, over our own server."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from minireason.testing import ScriptedBackend
from tests.cli.run import assert_one_sentence, minireason, started
from tests.server.conftest import served, server, tiny_url
from tests.server.serving import Served

__all__ = ["served", "server", "tiny_url"]

QUESTION = "What is 5 + 8?"


def test_ask(tiny_url: str) -> None:
    result = minireason("ask", "--url", f"{tiny_url}/v1", "--temperature", "0", QUESTION)
    assert (result.code, result.out) == (0, "The answer is \\boxed{13}.\n")
    assert result.err.startswith("5 + 8\nones 5+8=13, so 3\n")


def test_a_process_of_its_own_ends_as_quietly_as_a_forked_one(
    tiny_url: str, tmp_path: Path
) -> None:
    """A forked one leaves without taking Python down, here with a thread of the connection."""
    source = tmp_path / "in.jsonl"
    source.write_text(json.dumps({"question": QUESTION}) + "\n")
    reached = ("--url", f"{tiny_url}/v1", "--temperature", "0")
    asked = started("ask", *reached, "--thinking", "hide", QUESTION)
    assert asked == minireason("ask", *reached, "--thinking", "hide", QUESTION)
    assert (asked.code, asked.out) == (0, "The answer is \\boxed{13}.\n")
    batch = started("batch", str(source), "-o", str(tmp_path / "out.jsonl"), *reached)
    assert (batch.code, len(batch.err.splitlines())) == (0, 1)


@pytest.mark.parametrize("command", ["ask", "chat"])
def test_a_reply_that_is_cut_off_advises_no_option_that_is_refused(
    tiny_url: str, command: str
) -> None:
    question = (QUESTION,) if command == "ask" else ()
    asked = (command, "--url", f"{tiny_url}/v1", "--max-tokens", "20", "--thinking", "hide")
    result = minireason(*asked, *question, stdin=f"{QUESTION}\n".encode())
    assert result.code == 7
    assert "cut off; allow more with --max-tokens or a server with more context." in result.err


def test_solve(tiny_url: str) -> None:
    result = minireason("solve", "--url", f"{tiny_url}/v1", "-n", "4", "--json", "What is 3 + 4?")
    assert result.code == 0
    assert json.loads(result.out)["answer"] == "7"


def test_chat(tiny_url: str) -> None:
    url = f"{tiny_url}/v1"
    result = minireason("chat", "--url", url, "--temperature", "0", stdin=f"{QUESTION}\n".encode())
    assert result.code == 0
    assert "13" in result.out


def test_the_key_comes_from_a_file_or_the_environment(
    served: Callable[..., Served], tmp_path: Path
) -> None:
    url = f"{served(ScriptedBackend('Yes.'), api_keys=('sk-1',)).url}v1"
    file = tmp_path / "key"
    file.write_text("sk-1\n")
    asked = ("ask", "--url", url, "?")
    assert minireason(*asked, "--api-key-file", str(file)).out == "Yes.\n"
    assert minireason(*asked, env={"MINIREASON_API_KEY": "sk-1"}).out == "Yes.\n"
    refused = minireason(*asked, env={"MINIREASON_API_KEY": "sk-2"})
    assert_one_sentence(refused, 6, "does not accept the API key")
    assert "sk-2" not in refused.err


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (("--model", "r1"), 3, "it has tiny"),
        (("--ctx", "512"), 2, "the server has loaded the model"),
        (("--offline",), 2, "--offline uses no network"),
        (("--api-key-file", "no-such-file"), 2, "could not be read"),
    ],
)
def test_what_cannot_be_done(tiny_url: str, options: tuple[str, ...], code: int, told: str) -> None:
    result = minireason("ask", "--url", f"{tiny_url}/v1", *options, "?")
    assert_one_sentence(result, code, told)


def test_a_key_file_without_a_url() -> None:
    result = minireason("ask", "--api-key-file", "key", "?")
    assert_one_sentence(result, 2, "--url")


def test_a_name_in_the_place_of_a_url(
    served: Callable[..., Served], tmp_path: Path, tiny_url: str
) -> None:
    locked = f"{served(ScriptedBackend('Yes.'), api_keys=('sk-1',)).url}v1"
    (Path(os.environ["MINIREASON_HOME"]) / "remotes.toml").write_text(
        f'[mine]\nurl = "{tiny_url}/v1"\nmodel = "tiny"\nflavour = "minireason"\n'
        f'[locked]\nurl = "{locked}"\napi_key_env = "LOCKED_KEY"\n'
        f'[lacking]\nurl = "{tiny_url}/v1"\nmodel = "r1"\n'
        '[bad]\nurl = "nowhere"\n'
    )
    greedy = ("--url", "mine", "--temperature", "0")
    assert minireason("ask", *greedy, QUESTION).out == "The answer is \\boxed{13}.\n"
    solved = minireason("solve", "--url", "mine", "-n", "4", "--json", "What is 3 + 4?")
    assert json.loads(solved.out)["answer"] == "7"
    talked = minireason("chat", *greedy, stdin=f"{QUESTION}\n".encode())
    assert "13" in talked.out
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text(json.dumps({"question": QUESTION, "answer": "13"}))
    assert minireason("batch", str(source), "-o", str(out), *greedy).code == 0
    assert "13" in json.loads(out.read_text())["reply"]["answer"]
    evaluated = minireason("eval", str(source), *greedy, "--json")
    assert json.loads(evaluated.out)["pass_at_1"]["value"] == 1
    asked = ("ask", "--url", "locked", "?")
    assert minireason(*asked, env={"LOCKED_KEY": "sk-1"}).out == "Yes.\n"
    assert_one_sentence(minireason(*asked), 2, "names an environment variable that is not set")
    lacking = ("ask", "--url", "lacking", "?")
    assert_one_sentence(minireason(*lacking), 3, "it has tiny")
    assert minireason(*lacking, "--model", "tiny").code == 0
    assert_one_sentence(minireason("ask", "--url", "bad", "?"), 2, "line 12: bad.url has to be")
    assert_one_sentence(minireason("ask", "--url", "none", "?"), 2, "names mine, locked, lacking")
