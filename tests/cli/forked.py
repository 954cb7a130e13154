"""Processes that are `minireason` as `python -m minireason` is, forked where that would import.

`fork_server.py` is the other end. Only Linux forks well with the libraries that minireason loads.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

READ_AT_START = ("PYTHON", "LD_", "LC_", "LANG", "TZ", "OMP_", "GGML_", "LLAMA_", "OPENBLAS_")
"""How variables begin that Python and the C libraries read before minireason's first line."""


class Forked:
    """A command that runs; `pid` is its process number."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = connection.makefile("rb")
        self._code: int | None = None
        self.pid = int(self._lines.readline())

    def poll(self) -> int | None:
        """The exit code, minus the number of the signal that ended it; None while it runs."""
        if self._code is None and select.select([self._connection], [], [], 0)[0]:
            self.wait()
        return self._code

    def wait(self) -> int:
        """The exit code, once it has ended."""
        if self._code is None:
            self._code = int(self._lines.readline())
            self._lines.close()
            self._connection.close()
        return self._code

    def kill(self) -> None:
        """End it, if it runs."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


class Server:
    """The process that forks, from the first command to the end of the tests."""

    def __init__(self) -> None:
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
        names = [
            name for name in {*environment, *self._environment} if name.startswith(READ_AT_START)
        ]
        return all(environment.get(name) == self._environment.get(name) for name in names)

    def fork(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        standard: Sequence[int],
        *,
        leads: bool = False,
    ) -> Forked:
        """Run a command line on these descriptors for its standard streams, which are closed here.

        `leads`: in a session of its own, whose terminal its standard input is.
        """
        connection, theirs = socket.socketpair()
        passed = [*standard, theirs.detach()]
        socket.send_fds(self._control, [b"."], passed)
        for descriptor in set(passed):
            os.close(descriptor)
        request = {
            "arguments": [*arguments],
            "environment": {**environment},
            "folder": os.getcwd(),
            "leads": leads,
        }
        connection.sendall(json.dumps(request).encode())
        connection.shutdown(socket.SHUT_WR)
        return Forked(connection)

    def close(self) -> None:
        """Let it end."""
        self._control.close()
        self._process.wait()


@functools.cache
def _server() -> Server:
    server = Server()
    atexit.register(server.close)
    return server


def server(environment: Mapping[str, str]) -> Server | None:
    """The one that this process of pytest's uses, if it can fork a command with these variables."""
    if sys.platform != "linux" or not _server().fits(environment):
        return None
    return _server()
