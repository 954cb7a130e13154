from __future__ import annotations

import inspect
import re
import subprocess
import sys

import pytest

from minireason import __version__, errors
from minireason.cli.main import EXIT_CODES, main
from tests.cli.run import TIMEOUT_S, Result, assert_one_sentence, minireason, started


def test_every_error_has_its_exit_code() -> None:
    wanted = {
        "UsageError": 2,
        "UnknownModel": 2,
        "BadSetting": 2,
        "BadCatalog": 2,
        "NotInstalled": 3,
        "DoesNotFit": 4,
        "ModelFileError": 5,
        "StoreError": 6,
        "Offline": 6,
        "DownloadFailed": 6,
        "ChecksumMismatch": 6,
        "DiskFull": 6,
        "ServerError": 6,
        "NotServed": 3,
        "EngineError": 1,
        "ContextFull": 1,
        "DecodeFailed": 1,
        "LogitsNotFinite": 1,
        "BackendMissing": 1,
        "SessionError": 1,
        "MinireasonError": 1,
    }
    kinds = {
        name: kind
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, errors.MinireasonError)
    }
    assert {
        name: next(code for row, code in EXIT_CODES if issubclass(kind, row))
        for name, kind in kinds.items()
    } == wanted


def test_version_and_help() -> None:
    assert minireason("--version").out == f"minireason {__version__}\n"
    assert "ask" in minireason().out
    for command in ("ask", "chat"):
        text = minireason(command, "--help").out
        for option in (
            "--model",
            "--temperature",
            "--top-p",
            "--seed",
            "--max-tokens",
            "--system",
            "--ctx",
            "--threads",
            "--gpu-layers",
            "--thinking",
        ):
            assert option in text


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("ask --model tiny --seed 1 --threads 1 hi", 0),
        ("chat --model tiny --seed 1 --threads 1", 0),
        ("solve --model tiny --seed 1 --threads 1 -n 1", 0),
        ("batch no.jsonl -o out.jsonl --model tiny", 2),
        ("eval no.jsonl --model tiny", 2),
        ("bench --model nothing", 2),
        ("models", 0),
        ("show tiny", 0),
        ("pull nothing", 2),
        ("rm nothing", 2),
        ("verify", 0),
        ("doctor", 0),
        ("sessions show none", 1),
        ("import no.gguf", 3),
        ("", 0),
    ],
)
def test_a_forked_command_does_what_a_started_one_does(line: str, code: int) -> None:
    """What most tests of commands rely on.

    The numbers are times, speeds and free bytes; these last decide what fits, and the best of it.
    """
    results = [run(*line.split(), stdin=b"What is 347 + 586?") for run in (minireason, started)]
    varies = r"[ \d.,]+|\b(fits|too big)\b.*"
    forked, real = (
        (result.code, *(re.sub(varies, " ", text) for text in (result.out, result.err)))
        for result in results
    )
    assert forked == real
    assert real[0] == code


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_a_poor_terminal_encoding_loses_characters_not_the_answer(encoding: str) -> None:
    result = minireason(
        "ask",
        "--model",
        "tiny",
        "--system",
        "漢字",
        "--temperature",
        "0",
        "What is 5 + 8?",
        env={"PYTHONIOENCODING": encoding},
    )
    assert result.code == 0
    assert "boxed{" in result.out


def within(line: str, capsys: pytest.CaptureFixture[str]) -> Result:
    """A command line in this very process, where none is needed of its own."""
    code = main(line.split())
    captured = capsys.readouterr()
    return Result(code, captured.out, captured.err)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("ask --thinking-budget -5 hi", "--thinking-budget -5: has to be a whole number"),
        ("ask --ctx 512 --thinking-budget 600 hi", "--thinking-budget 600: the context holds 512"),
        ("ask --max-tokens 9 --thinking-budget 9 hi", "no room for an answer in --max-tokens 9."),
        ("ask --regex a --choice b hi", "--regex a: cannot be combined with --choice."),
        ("ask --model tiny --ctx 9999 hi", "--ctx 9999: the model was trained"),
        ("ask --effort most hi", "--effort most: has to be one of none"),
        ("solve --samples 0 hi", "--samples 0: has to be"),
        ("solve --budget-seconds -3 hi", "--budget-seconds -3.0: has to be"),
        ("eval --parallel x set.jsonl", "--parallel x: has to be"),
        ("ask --temperature hot hi", "--temperature hot: has to be a number from 0 to 100."),
        ("ask --ctx 1.5 hi", "--ctx 1.5: has to be a whole number from 64"),
        ("ask --seed 2b hi", "--seed 2b: has to be a whole number from 0"),
        ("chat --threads all", "--threads all: has to be a whole number from 1"),
        ("solve -n many hi", "--samples many: has to be a whole number from 1"),
        ("solve --budget-seconds soon hi", "--budget-seconds soon: has to be a number from 0"),
        ("eval --limit half set.jsonl", "--limit half: has to be a whole number, 1 or more."),
    ],
)
def test_errors_name_the_option_as_it_is_typed(
    line: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_one_sentence(within(line, capsys), 2, said)


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("ask --thinking-budgt 5 hi", "See minireason ask --help."),
        ("solve why not", "in quotes. See minireason solve --help."),
        ("ask What is 2 + 2?", "in quotes. See minireason ask --help."),
        ("chat hi", '(hi); chat takes no question: minireason ask "hi" answers one, or type it'),
        (
            "chat what is $HOME",
            'minireason ask "..." answers one, or type it after minireason chat.',
        ),
        ("solve --thinking show hi", "--thinking; --show-chains writes the thinking of every"),
        ("solve --thinkin show hi", "--thinking-budget"),
        ("show r1-7b r1-8b", "(r1-8b). See minireason show --help."),
        ("run tiny", "chat --model NAME, for one question ask. See minireason --help."),
        ("sessions show", "See minireason sessions show --help."),
        ("aks hi", "Did you mean 'ask'? See minireason --help."),
    ],
)
def test_a_wrong_command_line_says_which_help_to_read(
    line: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_one_sentence(within(line, capsys), 2, hint)


def test_h_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("", "ask", "sessions", "models"):
        short = within(f"{command} -h", capsys)
        assert short == within(f"{command} --help", capsys)
        assert short.out.startswith(f"Usage: minireason {command}")


@pytest.mark.parametrize("group", ["", "sessions"])
def test_no_description_of_a_command_is_cut_at_80_columns(
    group: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    listed = within(f"{group} --help", capsys).out.partition("Commands:\n")[2].splitlines()
    assert len(listed) > 1
    assert [line for line in listed if not line.endswith(".") or line.endswith("...")] == []


INTERRUPTING = """
import signal, sys

class Interrupting:
    def find_spec(self, name, *_):
        if name == f"minireason.{module}":
            signal.raise_signal(signal.SIGINT)

_, module, *sys.argv = sys.argv
sys.meta_path.insert(0, Interrupting())
ignoring = sys.argv[0] == "ignoring"
signal.signal(signal.SIGINT, signal.SIG_IGN if ignoring else signal.default_int_handler)
from minireason.cli.start import run
run()
"""
"""Runs a command line that gets Ctrl-C when it comes to the import of a module."""


def interrupted_at(module: str, *command: str) -> tuple[int, str, str]:
    """The exit code and what is written."""
    program = [sys.executable, "-c", INTERRUPTING, module, *command]
    done = subprocess.run(program, capture_output=True, check=False, text=True, timeout=TIMEOUT_S)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("module", ["cli.app", "cli.commands.ask", "reasoner"])
def test_ctrl_c_while_something_is_imported_ends_quietly(module: str) -> None:
    assert interrupted_at(module, "minireason", "ask", "--model", "tiny", "hi") == (130, "", "")


def test_a_ctrl_c_that_is_ignored_from_outside_stays_ignored() -> None:
    code, out, _ = interrupted_at("cli.app", "ignoring", "--version")
    assert (code, out) == (0, f"minireason {__version__}\n")
