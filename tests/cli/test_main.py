from __future__ import annotations

import inspect

import pytest

from minireason import __version__, errors
from minireason.cli.main import EXIT_CODES
from tests.cli.run import minireason


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
