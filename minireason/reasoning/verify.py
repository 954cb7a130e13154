"""Ask math-verify (the optional extra `math`) whether two answers are equal, in a child process with a hard deadline.

sympy can compute for ever on "9^{9^{9^9}}", and math-verify's own time limit is a signal, which works in no thread but
the main one. So it runs in a process of its own, which is killed when it is late and started again when needed.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from importlib.util import find_spec

DEADLINE_S = 3.0
_START_S = 60.0
"""Importing sympy takes a second or two on a fast machine, and much longer on a cold, busy one."""

_MAX_CHARS = 2_000
_MAX_MEMORY_BYTES = 2 * 2**30


def available() -> bool:
    """Whether math-verify is installed."""
    return find_spec("math_verify") is not None


def equal(first: str, second: str) -> bool:
    """Whether math-verify finds the two equal, in either order; False without it, or if it takes more than `DEADLINE_S`."""
    if not available() or max(len(first), len(second)) > _MAX_CHARS:
        return False
    return _worker.ask(first, second)


class _Worker:
    """The child and the lock that lets one question at a time through."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def ask(self, first: str, second: str) -> bool:
        with self._lock:
            process = self._running()
            verdict = (
                self._line(process, json.dumps([first, second]), DEADLINE_S) if process else ""
            )
            if not verdict:  # a child that was killed may still look alive for a moment
                self._stop()
            return verdict == "true"

    def _running(self) -> subprocess.Popen[str] | None:
        if self._process and self._process.poll() is None:
            return self._process
        self._stop()
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            start_new_session=True,  # Ctrl-C is the parent's business
        )
        return self._process if self._line(self._process, None, _START_S) == "ready" else None

    def _line(self, process: subprocess.Popen[str], line: str | None, deadline_s: float) -> str:
        """Send a line and read one; "" after the deadline, when the child is dead."""
        assert process.stdin
        assert process.stdout
        timer = threading.Timer(deadline_s, process.kill)
        timer.daemon = True
        timer.start()
        try:
            if line is not None:
                process.stdin.write(f"{line}\n")
                process.stdin.flush()
            return process.stdout.readline().strip()
        except BrokenPipeError:
            return ""
        finally:
            timer.cancel()

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process and process.stdin and process.stdout:
            process.kill()
            with suppress(BrokenPipeError):
                process.stdin.close()
            process.stdout.close()
            process.wait()

    def close(self) -> None:
        with self._lock:
            self._stop()


_worker = _Worker()
atexit.register(_worker.close)


def _limit_this_process() -> None:
    try:
        import resource
    except ImportError:  # Windows: the deadline remains
        return
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))


def main() -> None:
    """The child: "ready", then for each line with two answers in JSON one line, true or false."""
    _limit_this_process()
    from math_verify import parse, verify

    def parsed(answer: str) -> list[object]:
        return list(parse(f"${answer}$", parsing_timeout=None)) or list(
            parse(answer, parsing_timeout=None)
        )

    def verdict(line: str) -> bool:
        try:
            one, two = (parsed(answer) for answer in json.loads(line))
            return bool(verify(one, two, timeout_seconds=None)) or bool(
                verify(two, one, timeout_seconds=None)
            )
        except Exception:  # whatever sympy raises: it could not tell
            return False

    verdict('["x", "x+0"]')  # the first one is slow, whatever it is
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(verdict(line)), flush=True)


if __name__ == "__main__":
    main()
