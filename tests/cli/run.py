"""Run the command line as a user does: a process of its own with pipes."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

COMMAND = [sys.executable, "-m", "minireason"]


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


def minireason(*arguments: str, stdin: bytes = b"", env: dict[str, str] | None = None) -> Result:
    done = subprocess.run(
        [*COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        check=False,
        env=os.environ | (env or {}),
        timeout=120,
    )
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


def assert_one_sentence(result: Result, code: int, part: str) -> None:
    """Refused: the exit code, nothing on standard output, one line on standard error.

    The line says what to do.
    """
    assert result.code == code, result
    assert result.out == ""
    assert part in result.err
    assert len(result.err.strip().splitlines()) == 1
    assert result.err.startswith("minireason: ")
    assert "Traceback" not in result.err
