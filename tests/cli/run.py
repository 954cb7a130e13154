"""Run the command line as a user does: a process of its own with pipes.

`started` starts `python -m minireason`, which imports for half a second. `minireason` gets the
same from a process that has imported already, where the system can fork one. `test_main.py`
compares the two for every command.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from tests.cli import forked

COMMAND = [sys.executable, "-m", "minireason"]
TIMEOUT_S = 120


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


def started(*arguments: str, stdin: bytes = b"", env: dict[str, str] | None = None) -> Result:
    """Run one command line in a process that is started for it."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        check=False,
        env=os.environ | (env or {}),
        timeout=TIMEOUT_S,
    )
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


def minireason(*arguments: str, stdin: bytes = b"", env: dict[str, str] | None = None) -> Result:
    """Run one command line in a process of its own, forked where that makes no difference."""
    environment = os.environ | (env or {})
    server = forked.server(environment)
    if server is None:
        return started(*arguments, stdin=stdin, env=env)
    pipes = [os.pipe() for _ in range(3)]
    (standard_in, written), (output, standard_out), (errors, standard_err) = pipes
    command = server.fork(arguments, environment, [standard_in, standard_out, standard_err])
    timer = threading.Timer(TIMEOUT_S, command.kill)
    timer.start()
    with ThreadPoolExecutor(3) as pool:
        pool.submit(_write, written, stdin)
        out, err = (pool.submit(_read, descriptor) for descriptor in (output, errors))
    timer.cancel()
    return Result(command.wait(), out.result().decode(), err.result().decode())


def _write(descriptor: int, data: bytes) -> None:
    with suppress(BrokenPipeError), open(descriptor, "wb") as stream:
        stream.write(data)


def _read(descriptor: int) -> bytes:
    with open(descriptor, "rb") as stream:
        return stream.read()


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
