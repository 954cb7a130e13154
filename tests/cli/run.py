"""Run the command line as a user does: a process of its own with pipes.

`started` starts `python -m minireason`, which imports for half a second. `minireason` gets the
same from a process that has imported already, where the system can fork one, and so does `Running`,
for what is done to a command that runs. `test_main.py` compares the two for every command.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

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


class Running:
    """A command in a process of its own, forked where that makes no difference.

    Its standard streams are pipes; what it writes may go to the file `out` or `err` instead.
    """

    def __init__(
        self, *arguments: str, env: dict[str, str] | None = None, out: str = "", err: str = ""
    ) -> None:
        environment = os.environ | (env or {})
        standard_in, written = os.pipe()
        (output, standard_out), (errors, standard_err) = _read_from(out), _read_from(err)
        standard = [standard_in, standard_out, standard_err]
        self.stdin, self.stdout, self.stderr = (
            open(written, "wb"),  # noqa: SIM115
            open(output, "rb"),  # noqa: SIM115
            open(errors, "rb"),  # noqa: SIM115
        )
        server = forked.server(environment)
        self._process: forked.Forked | subprocess.Popen[bytes]
        if server is None:
            self._process = subprocess.Popen(
                [*COMMAND, *arguments],
                stdin=standard_in,
                stdout=standard_out,
                stderr=standard_err,
                env=environment,
            )
            for descriptor in standard:
                os.close(descriptor)
        else:
            self._process = server.fork(arguments, environment, standard)

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self.runs:
            os.kill(self._process.pid, number)

    def kill(self) -> None:
        """End it, if it runs, and close the pipes."""
        self._process.kill()
        self._process.wait()
        self._close()

    def ended(self, stdin: bytes = b"") -> Result:
        """Write this to it, if anything, and wait for its end; what a test read is left out."""
        timer = threading.Timer(TIMEOUT_S, self._process.kill)
        timer.start()
        with ThreadPoolExecutor(3) as pool:
            pool.submit(self._write, stdin)
            out, err = (pool.submit(_read, stream) for stream in (self.stdout, self.stderr))
        timer.cancel()
        code = self._process.wait()
        self._close()
        return Result(code, out.result().decode(), err.result().decode())

    def _write(self, data: bytes) -> None:
        if not self.stdin.closed:
            with suppress(BrokenPipeError), self.stdin:
                self.stdin.write(data)

    def _close(self) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            with suppress(BrokenPipeError):
                stream.close()


def _read(stream: BinaryIO) -> bytes:
    return b"" if stream.closed else stream.read()


def _read_from(place: str) -> tuple[int, int]:
    """Where to read what goes to a standard stream, and where that is written."""
    if not place:
        return os.pipe()
    return os.open(os.devnull, os.O_RDONLY), os.open(place, os.O_WRONLY)


def minireason(*arguments: str, stdin: bytes = b"", env: dict[str, str] | None = None) -> Result:
    """Run one command line in a process of its own, forked where that makes no difference."""
    return Running(*arguments, env=env).ended(stdin)


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
