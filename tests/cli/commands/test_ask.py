from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

from minireason import Reply
from tests.cli.run import COMMAND, Result, Running, assert_one_sentence, minireason
from tests.models.build import write

TINY = ("ask", "--model", "tiny", "--threads", "1", "--temperature", "0")


def test_answer_on_standard_output_and_thinking_on_standard_error() -> None:
    result = minireason(*TINY, "What is 5 + 8?")
    assert result.code == 0
    assert result.out == "The answer is \\boxed{13}.\n"
    assert result.err.startswith("5 + 8\nones 5+8=13, so 3\n")
    assert "\x1b" not in result.out + result.err


def test_json_is_one_object() -> None:
    result = minireason(*TINY, "--json", "--seed", "5", "What is 5 + 8?")
    assert result.err == ""
    reply = json.loads(result.out)
    assert list(reply) == [field.name for field in fields(Reply)]
    assert (reply["boxed"], reply["seed"], reply["finish_reason"], reply["thinking_end"]) == (
        "13",
        5,
        "stop",
        "natural",
    )
    assert reply["usage"]["thinking_tokens"] > 0
    assert reply["timings"]["tokens_per_s"] > 0


def test_question_from_standard_input_and_from_both() -> None:
    assert minireason(*TINY, stdin=b"What is 5 + 8?\n").out == "The answer is \\boxed{13}.\n"
    both = json.loads(minireason(*TINY, "--json", "first", stdin="é\nlast\n".encode()).out)
    assert both["usage"]["prompt_tokens"] == len("first\n\né\nlast".encode()) + 5


def test_where_the_thinking_goes(tmp_path: Path) -> None:
    shown = minireason(*TINY, "--thinking", "show", "What is 5 + 8?")
    assert shown.out.startswith("5 + 8\n")
    assert shown.out.endswith("\n\nThe answer is \\boxed{13}.\n")
    assert shown.err == ""
    hidden = minireason(*TINY, "--thinking", "hide", "What is 5 + 8?")
    assert (hidden.out, hidden.err) == ("The answer is \\boxed{13}.\n", "")
    file = tmp_path / "thought.txt"
    minireason(*TINY, "--thinking", str(file), "What is 5 + 8?")
    assert file.read_text().startswith("5 + 8\n")


def test_model_from_the_environment() -> None:
    assert (
        minireason(
            "ask", "--temperature", "0", "What is 5 + 8?", env={"MINIREASON_MODEL": "tiny"}
        ).out
        == "The answer is \\boxed{13}.\n"
    )


def test_without_any_model_nothing_is_answered_by_tiny() -> None:
    result = minireason("ask", "What is 5 + 8?")
    assert_one_sentence(result, 3, "--model tiny")


def test_offline_a_model_that_is_missing_is_not_advised_to_be_pulled_at_once() -> None:
    named = minireason("ask", "--offline", "--model", "r1-7b", "hi")
    assert_one_sentence(named, 3, "is not installed, and the network is switched off (--offline")
    assert "; put DeepSeek-R1-Distill-Qwen-7B-Q4_K_M.gguf into" in named.err
    assert "give the path of a .gguf file, or switch it on and fetch it with" in named.err
    unnamed = minireason("ask", "hi", env={"HF_HUB_OFFLINE": "1"})
    assert_one_sentence(unnamed, 3, "HF_HUB_OFFLINE); a file of yours: --model PATH.gguf")


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "part"),
    [
        (("ask", "--model", "tiny"), b"", 2, "no question"),
        (("ask", "--model", "tiny", "  "), b"\n", 2, "no question"),
        (("ask", "--model", "tiny"), b"abc\xff", 2, "not UTF-8 text (byte 3)"),
        (("ask", "--model", "tinny", "hi"), b"", 2, "did you mean tiny?"),
        (("ask", "--model", "r1-7b", "hi"), b"", 3, "is not installed"),
        (("ask", "--model", "none.gguf", "hi"), b"", 3, "There is no file"),
        (("ask", "--model", "tiny", "--temperature", "-1", "hi"), b"", 2, "--temperature -1.0"),
        (("ask", "--model", "tiny", "--temperature", "nan", "hi"), b"", 2, "--temperature nan"),
        (("ask", "--model", "tiny", "--temperature", "hot", "hi"), b"", 2, "--temperature"),
        (("ask", "--model", "tiny", "--top-p", "2", "hi"), b"", 2, "--top-p 2.0"),
        (("ask", "--model", "tiny", "--max-tokens", "0", "hi"), b"", 2, "--max-tokens 0"),
        (("ask", "--model", "tiny", "--ctx", "9999", "hi"), b"", 2, "4096 tokens at most"),
        (
            ("ask", "--model", "tiny", "--thinking", "/no/such/dir/file", "hi"),
            b"",
            2,
            "cannot be written",
        ),
        (("ask", "--model", "tiny"), b"1 + " * 1100, 1, "trained for; shorten the prompt."),
        (("ask", "--model", "tiny", "--ctx", "64"), b"1 + " * 99, 1, "a larger --ctx, up to 4096."),
        (("ask", "--nonsense"), b"", 2, "--nonsense"),
        (("frobnicate",), b"", 2, "frobnicate"),
    ],
)
def test_bad_input_is_one_sentence_and_an_exit_code(
    arguments: tuple[str, ...], stdin: bytes, code: int, part: str
) -> None:
    assert_one_sentence(minireason(*arguments, stdin=stdin), code, part)


def test_files_that_are_not_models(tmp_path: Path, tiny_path: Path) -> None:
    raw = tiny_path.read_bytes()
    (tmp_path / "README.md").write_text("# minireason")
    (tmp_path / "cut.gguf").write_bytes(raw[:-5000])
    (tmp_path / "head.gguf").write_bytes(raw[:60])
    write(tmp_path / "bert.gguf", arch="bert")
    write(tmp_path / "base.gguf", template=None)
    for name, part in [
        ("README.md", "not a GGUF model file"),
        ("cut.gguf", "cut short"),
        ("head.gguf", "damaged"),
        ("bert.gguf", "'bert'"),
        ("base.gguf", "no chat template"),
        ("", "directory"),
    ]:
        assert_one_sentence(minireason("ask", "--model", f"{tmp_path}/{name}", "hi"), 5, part)
    if os.geteuid():
        (tmp_path / "cut.gguf").chmod(0)
        assert_one_sentence(
            minireason("ask", "--model", f"{tmp_path}/cut.gguf", "hi"), 5, "permission"
        )


def test_no_write_permission_anywhere_is_no_obstacle(tmp_path: Path, smollm2_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    result = minireason(
        "ask",
        "--model",
        str(smollm2_path),
        "--max-tokens",
        "3",
        "hi",
        env={"MINIREASON_HOME": str(file)},
    )
    assert (result.code, result.err.count("\n")) == (7, 1), result.err
    assert "cut off" in result.err, "the three tokens, and nothing else"


def test_a_closed_pipe_ends_quietly() -> None:
    asked = Running(*TINY, "--thinking", "show", "What is 5 + 8?")
    asked.stdin.close()
    asked.stdout.read(5)
    asked.stdout.close()
    assert asked.ended() == Result(0, "", "")


def test_ctrl_c_keeps_what_there_is(smollm2_path: Path) -> None:
    question = "Write a very long story about a fox."
    asked = Running("ask", "--model", str(smollm2_path), "--threads", "1", question)
    asked.stdin.close()
    first = asked.stdout.read(20)
    asked.send_signal(signal.SIGINT)
    rest = asked.ended()
    assert (rest.code, len(first), rest.err) == (130, 20, "")
    assert rest.out.endswith("\n")


def test_ctrl_c_with_json_still_prints_the_object(smollm2_path: Path) -> None:
    pty = pytest.importorskip("pty")
    arguments = [
        *COMMAND,
        "ask",
        "--json",
        "--thinking",
        "hide",
        "--model",
        str(smollm2_path),
        "Write a very long story about a fox.",
    ]
    ours, its = pty.openpty()
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=its, stdin=subprocess.DEVNULL
    )
    os.close(its)
    shown = b""
    while not re.search(
        rb"thinking \.\.\..*\x1b\[\?25h", shown, re.DOTALL
    ):  # the line of progress goes with the first token
        shown += os.read(ours, 1000)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 130
    assert json.loads(out)["finish_reason"] == "cancelled"


def test_thinking_has_a_budget() -> None:
    result = minireason(
        "ask",
        "--model",
        "tiny",
        "--thinking-budget",
        "20",
        "--json",
        "--seed",
        "1",
        "What is 4821 + 3979?",
    )
    reply = json.loads(result.out)
    assert reply["answer"]
    assert reply["thinking_end"] == "budget"
    assert 15 <= reply["usage"]["thinking_tokens"] <= 30
    none = json.loads(
        minireason("ask", "--model", "tiny", "--effort", "none", "--json", "What is 2 + 2?").out
    )
    assert (none["thinking"], none["thinking_end"], bool(none["answer"])) == ("", "skipped", True)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--effort", "huge"),
        ("--thinking-budget", "-1"),
        ("--thinking-seconds", "-2"),
        ("--thinking-budget", "9999999"),
    ],
)
def test_impossible_thinking_is_refused(option: str, value: str) -> None:
    assert_one_sentence(
        minireason("ask", "--model", "tiny", option, value, "What is 2 + 2?"), 2, value.lstrip("-")
    )


def test_structured_answers(tmp_path: Path) -> None:
    schema = tmp_path / "s.json"
    number = {"type": "integer", "minimum": 0, "maximum": 99}
    schema.write_text(
        json.dumps(
            {
                "type": "object",
                "properties": {"n": number},
                "required": ["n"],
                "additionalProperties": False,
            }
        )
    )
    plain = minireason(*TINY, "--schema", str(schema), "What is 5 + 8?")
    assert plain.code == 0
    assert 0 <= json.loads(plain.out)["n"] <= 99
    assert plain.err.startswith("5 + 8\n")
    choice = minireason(*TINY, "--choice", "odd", "--choice", "even", "--json", "What is 5 + 8?")
    assert json.loads(choice.out)["parsed"] in ("odd", "even")
    assert minireason(*TINY, "--regex", "n=[0-9]", "What is 5 + 8?").out.startswith("n=")


def test_a_structured_answer_cut_short_says_so() -> None:
    result = minireason(
        *TINY, "--regex", "x{5000}", "--max-tokens", "300", "--json", "What is 5 + 8?"
    )
    assert result.code == 7
    assert result.err.startswith("minireason: The answer was cut off")
    assert json.loads(result.out)["parsed"] is None


@pytest.mark.parametrize(
    "options",
    [
        ("--schema", "nowhere.json"),
        ("--schema", __file__),
        ("--regex", "["),
        ("--regex", ""),
        ("--choice", ""),
        ("--choice", "a", "--regex", "b"),
    ],
)
def test_bad_structures_are_refused_before_the_model_is_looked_for(
    options: tuple[str, ...],
) -> None:
    assert_one_sentence(
        minireason("ask", "--model", "no-such-model", *options, "hi"), 2, options[-2].strip("-")
    )


def test_a_schema_that_nothing_fits(tmp_path: Path) -> None:
    schema = tmp_path / "s.json"
    for text in ('{"$ref": "#"}', "[1]", '{"type": "array", "uniqueItems": true}'):
        schema.write_text(text)
        assert_one_sentence(
            minireason("ask", "--model", "no-such-model", "--schema", str(schema), "hi"),
            2,
            "schema",
        )
