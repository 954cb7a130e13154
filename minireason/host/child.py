"""Start a child process that works on a stranger's input: a model file, a template, an answer.

A child imports what its parent would import, but nothing from the folder where the user stands,
nor from the script's: what lies there is not code that he asked to run, and his own random.py is no
reason for a good model to fail. It has a deadline, a limit on memory and on what it writes, and a
process group, with which its own children die.

`minireason` itself comes from where the parent has it, wherever that is. The folder it lies in
comes last, after Python's own start: in a checkout the children start, libraries put beside the
package are found, and a json.py or jinja2.py there is not seen as long as there is an installed
one. More does not hold for that folder, and need not: who stands in a stranger's folder and imports
`minireason` out of it has run the stranger's code before any child is made.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from minireason.closing import Closing
from minireason.host import search_path

_IMPORT_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""The folder, or the zip file, that minireason was imported from."""

# Runs before anything else in a child. -c and -P leave the path alone, so that it has to look for
# the package itself.
_BOOT = """
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
spec = PathFinder.find_spec("minireason", [sys.argv[1]])
package = sys.modules["minireason"] = module_from_spec(spec)
spec.loader.exec_module(package)
sys.path.append(sys.argv[1])
from minireason.host.child_main import main
main(sys.argv[2:])
"""

_PASSED_ON = frozenset(
    "PATH SYSTEMROOT LD_LIBRARY_PATH DYLD_LIBRARY_PATH TMPDIR TEMP TMP TZ PYTHONHOME".split()
)
_OF_PYTHON = frozenset(
    "PYTHONHOME PYTHONUSERBASE PYTHONNOUSERSITE PYTHONUTF8 PYTHONDONTWRITEBYTECODE "
    "PYTHONPYCACHEPREFIX".split()
)
_CHUNK_BYTES = 2**16
_KEPT_ERRORS_BYTES = 2**14
_GRACE_S = 5.0
"""How much later than its parent's deadline a child ends itself, should the parent be gone."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may take."""

    deadline_s: float
    """Seconds of wall time for all of its work."""

    memory_bytes: int
    """Memory of its own; a mapped file is not.

    Limited where the system can do it: Linux counts all of it, others less, Windows nothing.
    """

    output_bytes: int = 2**20
    """What it may write to standard output."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended, and what it wrote."""

    status: int
    """Its exit status, or minus the number of the signal that ended it."""

    output: bytes
    """What it wrote to standard output."""

    reason: str
    """The last line that it wrote to standard error."""

    cut: Literal["", "time", "output"]
    """The limit for which its parent ended it, "" if it was for none."""


def run(
    module: str, *arguments: str, limits: Limits, request: bytes = b"", bare: bool = False
) -> Ended:
    """Run `main(arguments)` of a module of ours with a request on its standard input.

    `bare`: see `Child`. Raises OSError if it cannot start.
    """
    with Child(module, *arguments, limits=limits, bare=bare) as child:
        return child.finish(request)


class Child(Closing):
    """A running child; the caller closes it, which kills it and its own children.

    The environment is the parent's without most of what Python reads from it; `bare` leaves out
    nearly everything. A `lasting` child has no deadline for all of its work; whoever asks it
    something has one for the answer (`line`, `child_main.expire`). Raises OSError if it cannot
    start.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        limits: Limits,
        bare: bool = False,
        lasting: bool = False,
    ) -> None:
        if not sys.executable:
            raise OSError("this Python does not know its own program")
        self._limits = limits
        expires_s = 0.0 if lasting else limits.deadline_s + _GRACE_S
        flags = ["-P", *(["-s"] if sys.flags.no_user_site else [])]
        numbers = [str(limits.memory_bytes), str(expires_s)]
        self._process = subprocess.Popen(
            [sys.executable, *flags, "-c", _BOOT, _IMPORT_ROOT, *numbers, module, *arguments],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=os.path.abspath(os.sep),
            env=_environment(bare),
            start_new_session=True,  # Ctrl-C is the parent's business. Windows has no such groups
        )
        self._chunks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._errors = bytearray()
        self._rest = b""
        self._written_bytes = 0
        self._threads = [
            threading.Thread(target=work, daemon=True)
            for work in (self._read_output, self._read_errors)
        ]
        try:
            for thread in self._threads:
                thread.start()
        except RuntimeError as error:  # the system has no more of them
            self._kill()
            self._process.wait()
            raise OSError(str(error)) from None

    def finish(self, request: bytes) -> Ended:
        """Send a request, and wait for the end or the deadline."""
        writer = threading.Thread(target=self._write_and_close, args=(request,), daemon=True)
        self._threads.append(writer)
        writer.start()
        process, output = self._process, bytearray()
        cut: Literal["", "time", "output"] = ""
        ends_at = time.monotonic() + self._limits.deadline_s
        try:
            for chunk in self._until(ends_at):
                output += chunk
            if self._written_bytes > self._limits.output_bytes:
                cut = "output"
            else:
                process.wait(max(0.01, ends_at - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired):
            cut = "time"
        self._kill()
        process.wait()
        self._threads[1].join(1.0)
        lines = self._errors.decode("utf-8", "replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        return Ended(process.returncode, bytes(output), said[-1] if said else "", cut)

    def send(self, line: bytes) -> None:
        """Write to the child's standard input; raises BrokenPipeError if it is dead."""
        assert self._process.stdin
        self._written_bytes = 0
        rest = memoryview(line)
        while rest:
            rest = rest[self._process.stdin.write(rest) :]

    def line(self, deadline_s: float) -> bytes:
        """The next line of its standard output, without its end.

        Raises TimeoutError, or EOFError if there is none.
        """
        chunks = self._until(time.monotonic() + deadline_s)
        while b"\n" not in self._rest:
            chunk = next(chunks, b"")
            if not chunk:
                raise EOFError
            self._rest += chunk
        first, _, self._rest = self._rest.partition(b"\n")
        return first

    @property
    def alive(self) -> bool:
        """Whether it may still answer: its standard output is open."""
        return self._threads[0].is_alive()

    def close(self) -> None:
        """End the child, if it runs, and its own children."""
        process = self._process
        if process.returncode is None:  # once it is reaped, its number may be another process's
            self._kill()
            process.wait()
        for thread in self._threads:
            thread.join(1.0)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                with suppress(OSError):
                    pipe.close()

    def _until(self, ends_at: float) -> Iterator[bytes]:
        """What comes on standard output; raises TimeoutError."""
        while True:
            try:
                chunk = self._chunks.get(timeout=max(0.0, ends_at - time.monotonic()))
            except queue.Empty:
                raise TimeoutError from None
            if not chunk:
                self._chunks.put(b"")  # for whoever asks again
                return
            yield chunk

    def _kill(self) -> None:
        if sys.platform == "win32":
            self._process.kill()
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _write_and_close(self, request: bytes) -> None:
        assert self._process.stdin
        with suppress(OSError, ValueError):  # it died, or was closed
            self.send(request)
            self._process.stdin.close()

    def _read_output(self) -> None:
        assert self._process.stdout
        with suppress(OSError, ValueError):
            while chunk := self._process.stdout.read(_CHUNK_BYTES):
                self._written_bytes += len(chunk)
                if self._written_bytes > self._limits.output_bytes:
                    break
                self._chunks.put(chunk)
        self._chunks.put(b"")

    def _read_errors(self) -> None:
        assert self._process.stderr
        with suppress(OSError, ValueError):
            while chunk := self._process.stderr.read(_CHUNK_BYTES):
                self._errors += chunk
                del self._errors[:-_KEPT_ERRORS_BYTES]


def _environment(bare: bool) -> dict[str, str]:
    if bare:
        passed = {name: value for name, value in os.environ.items() if name in _PASSED_ON}
    else:
        passed = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("PYTHON") or name in _OF_PYTHON
        }
    return passed | {"PYTHONPATH": os.pathsep.join(search_path.inherited())}
