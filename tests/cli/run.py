"""Run the command line as a user does: a process of its own with pipes.

`started` starts `python -m minireason`, which imports for most of a second. `minireason` gets the
same from a process that has imported already, where the system can fork one: see
`tests/cli/fork_server.py`. `test_main.py` compares the two for every command.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

COMMAND = [sys.executable, "-m", "minireason"]
TIMEOUT_S = 120
READ_AT_START = ("PYTHON", "LD_", "LC_", "LANG", "TZ", "OMP_", "GGML_", "LLAMA_", "OPENBLAS_")
"""What variables begin with that Python and the C libraries read before minireason's first line."""


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
    if sys.platform != "linux" or not server().fits(environment):
        return started(*arguments, stdin=stdin, env=env)
    return server().run(list(arguments), stdin, environment)


class Server:
    """The process that forks, from the first command to the end of the tests."""

    def __init__(self) -> None:
        self._folder = Path.cwd()
        self._environment = dict(os.environ)
        self._control, theirs = socket.socketpair()
        program = Path(__file__).with_name("fork_server.py")
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, str(program), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )

    def fits(self, environment: Mapping[str, str]) -> bool:
        """Whether a start here, with these variables, would give the process that it can fork."""
        names = {name for name in {*environment, *self._environment} if _is_read_at_start(name)}
        same = all(environment.get(name) == self._environment.get(name) for name in names)
        return same and Path.cwd() == self._folder

    def run(self, arguments: list[str], stdin: bytes, environment: Mapping[str, str]) -> Result:
        """Run one command line; one that takes too long is killed."""
        pipes = [os.pipe() for _ in range(3)]
        (standard_in, written), (output, standard_out), (errors, standard_err) = pipes
        connection, theirs = socket.socketpair()
        passed = [standard_in, standard_out, standard_err, theirs.detach()]
        socket.send_fds(self._control, [b"."], passed)
        for descriptor in passed:
            os.close(descriptor)
        with connection, connection.makefile("rb") as lines, ThreadPoolExecutor(3) as pool:
            request = {"arguments": arguments, "environment": dict(environment)}
            connection.sendall(json.dumps(request).encode())
            connection.shutdown(socket.SHUT_WR)
            number = int(lines.readline())
            timer = threading.Timer(TIMEOUT_S, os.kill, (number, signal.SIGKILL))
            timer.start()
            pool.submit(_write, written, stdin)
            out, err = (pool.submit(_read, descriptor) for descriptor in (output, errors))
            code = int(lines.readline())
            timer.cancel()
            return Result(code, out.result().decode(), err.result().decode())

    def close(self) -> None:
        """Let it end."""
        self._control.close()
        self._process.wait()


@functools.cache
def server() -> Server:
    """The one that this process of pytest's uses, started when it is first asked for."""
    one = Server()
    atexit.register(one.close)
    return one


def _is_read_at_start(name: str) -> bool:
    return name.startswith(READ_AT_START)


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
