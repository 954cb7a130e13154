"""Ask math-verify (the optional extra `math`) whether two answers are equal, in a child process.

sympy can compute for ever on "9^{9^{9^9}}", and math-verify's own time limit is a signal, which
works in no thread but the main one. So it runs in a process of its own, which is killed when it is
late and started again when needed.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import threading
from importlib.util import find_spec

from minireason.host import child, child_main

DEADLINE_S = 3.0
_START_S = 60.0
"""Importing sympy takes a second or two on a fast machine, and much longer on a cold, busy one."""

_SPARE_S = 60.0
"""How much later than its parent would the child ends itself, should the parent be gone."""

_MAX_CHARS = 2_000
_MAX_MEMORY_BYTES = 2 * 2**30


def available() -> bool:
    """Whether math-verify is installed."""
    return find_spec("math_verify") is not None


def equal(first: str, second: str) -> bool:
    """Whether math-verify finds the two equal, in either order.

    False without it, or if it needs more than `DEADLINE_S`.
    """
    if not available() or max(len(first), len(second)) > _MAX_CHARS:
        return False
    return _worker.ask(first, second)


def stop() -> None:
    """End the child; the next question starts another."""
    _worker.close()


class _Worker:
    """The child and the lock that lets one question at a time through."""

    def __init__(self) -> None:
        self._child: child.Child | None = None
        self._not_ours: child.Child | None = None
        self._lock = threading.Lock()
        self._asked = 0

    def ask(self, first: str, second: str) -> bool:
        """Whether two answers are equal; False where it is not known."""
        with self._lock:
            try:
                return self._verdict(first, second)
            except (OSError, EOFError, ValueError):
                self._stop()  # it is late (TimeoutError), dead, or not itself any more
                return False
            except BaseException:  # Ctrl-C: the answer to this question must not be the next one's
                self._stop()
                raise

    def _verdict(self, first: str, second: str) -> bool:
        running = self._running()
        self._asked += 1
        running.send(json.dumps([self._asked, first, second]).encode() + b"\n")
        while True:
            number, verdict = json.loads(running.line(DEADLINE_S))
            if number == self._asked:
                return bool(verdict)

    def _running(self) -> child.Child:
        if self._child is None or not self._child.alive:
            self._stop()
            limits = child.Limits(DEADLINE_S, _MAX_MEMORY_BYTES)
            self._child = child.Child(__name__, limits=limits, bare=True, lasting=True)
            while self._child.line(_START_S) != b"ready":
                continue
        return self._child

    def _stop(self) -> None:
        stopped, self._child = self._child, None
        if stopped:
            stopped.close()

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._stop()

    def after_fork(self) -> None:
        """Leave child and lock to the parent process: this one must neither use nor end them."""
        self._not_ours, self._child = self._child, None
        self._lock = threading.Lock()


_worker = _Worker()
atexit.register(_worker.close)
if hasattr(os, "register_at_fork"):  # POSIX; elsewhere nothing forks
    os.register_at_fork(after_in_child=_worker.after_fork)


def main(_arguments: list[str]) -> None:
    """The child: "ready", then a line with a verdict for each line with a question.

    A question is a JSON list of a number and two answers, a verdict one of the number and true or
    false.
    """
    child_main.expire(_START_S + _SPARE_S)
    from math_verify import parse, verify

    def parsed(answer: str) -> list[object]:
        as_formula = parse(f"${answer}$", parsing_timeout=None)
        return list(as_formula or parse(answer, parsing_timeout=None))

    def equal(first: str, second: str) -> bool:
        try:
            one, two = parsed(first), parsed(second)
            either_way = ((one, two), (two, one))
            return any(verify(*pair, timeout_seconds=None) for pair in either_way)
        except Exception:  # whatever sympy raises: it could not tell
            return False

    equal("x", "x+0")  # the first one is slow, whatever it is
    print("ready", flush=True)
    child_main.cancel_expiry()
    for line in sys.stdin:
        number, first, second = json.loads(line)
        child_main.expire(DEADLINE_S + _SPARE_S)
        print(json.dumps([number, equal(first, second)]), flush=True)
        child_main.cancel_expiry()
