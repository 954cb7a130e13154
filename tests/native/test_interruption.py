"""Ctrl-C in the middle of a call of the C library that calls back into Python."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

import pytest

from minireason.engine.interruption import DeferredInterrupt

LOAD = """
import os, signal, sys
from pathlib import Path
from minireason.engine import library
from minireason.engine.model import Model
from minireason.engine.context import Context
from minireason.engine.context_params import ContextParams
from minireason.engine.room import CacheShape

where, left = sys.argv[1], [1]

def interrupt(*_):
    if left:
        left.pop()
        os.kill(os.getpid(), signal.SIGINT)

try:
    path = Path(sys.argv[2])
    if where == "progress":
        Model(path, on_progress=interrupt)
    if where == "model log":
        library.listen(interrupt)
        Model(path)
    if where == "context log":
        model = Model(path)
        library.listen(interrupt)
        Context(model, CacheShape(1, 256), ContextParams(8, 8, 1))
except KeyboardInterrupt:
    print("interrupted")
else:
    print("went on")
"""


@pytest.mark.parametrize("where", ["progress", "model log", "context log"])
def test_ctrl_c_in_a_callback_comes_out(tiny_path: Path, where: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOAD, where, tiny_path],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("interrupted\n", "")


def test_it_comes_once_at_the_end_or_when_it_is_asked_for() -> None:
    told: list[str] = []

    def block() -> None:
        with DeferredInterrupt() as interrupt:
            signal.raise_signal(signal.SIGINT)
            told.append("noted")
            with pytest.raises(KeyboardInterrupt):
                interrupt.deliver()
            interrupt.deliver()
            signal.raise_signal(signal.SIGINT)
            told.append("noted again")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert told == ["noted", "noted again"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_blocks_within_each_other_give_it_to_the_handler_of_the_program() -> None:
    told: list[int] = []

    def handler(number: int, _frame: FrameType | None) -> None:
        told.append(number)

    previous = signal.signal(signal.SIGINT, handler)
    try:
        with DeferredInterrupt():
            with DeferredInterrupt():
                signal.raise_signal(signal.SIGINT)
            assert not told
        assert told == [signal.SIGINT]
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, previous)


def test_a_handler_that_is_none_of_pythons_is_left_alone() -> None:
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with DeferredInterrupt():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, previous)
