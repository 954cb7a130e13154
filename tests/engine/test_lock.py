from __future__ import annotations

import gc
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from minireason import UsageError
from minireason.engine import lock as lock_module
from minireason.engine.lock import FairLock


def until_waiting(lock: FairLock, threads: int) -> None:
    while lock.waiting < threads:
        time.sleep(0.001)


def in_thread(act: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


def is_free(lock: FairLock) -> bool:
    """Whether another thread gets it."""
    thread = in_thread(lambda: lock.run(int))
    thread.join(20)
    return not thread.is_alive()


def test_who_comes_back_goes_behind_those_who_wait() -> None:
    lock, order, threads = FairLock(), [], []

    def first() -> None:
        for count, name in enumerate("abc", 1):
            threads.append(in_thread(lambda name=name: lock.run(lambda: order.append(name))))
            until_waiting(lock, count)

    lock.run(first)
    lock.run(lambda: order.append("the first again"))
    for thread in threads:
        thread.join()
    assert order == ["a", "b", "c", "the first again"]


def test_it_is_not_re_entrant_and_says_so() -> None:
    lock = FairLock()
    with pytest.raises(UsageError, match="in the middle of a step"):
        lock.run(lambda: lock.run(int))
    assert is_free(lock)
    assert lock.run(lambda: "again") == "again"


def test_only_the_thread_that_holds_it_is_told_so() -> None:
    lock = FairLock()
    seen: list[bool] = []
    lock.run(lambda: in_thread(lambda: seen.append(lock.used_here)).join())
    assert seen == [False]
    assert lock.run(lambda: lock.used_here)
    assert not lock.used_here


class Interrupt:
    """Raises KeyboardInterrupt at the line number `count` that lock.py runs, counted from 0."""

    def __init__(self, count: int) -> None:
        self.left = count

    def __call__(self, frame: FrameType, event: str, _arg: object) -> Any:
        code = frame.f_code
        if code.co_filename != lock_module.__file__ or code.co_name == "__del__":
            return None  # Python swallows what is raised in a finalizer
        if event == "line":
            self.left -= 1
            if self.left == -1:
                raise KeyboardInterrupt
        return self


def interrupted(lock: FairLock, count: int) -> BaseException | None:
    """The exception of a turn that is interrupted at one of its lines; None if it has fewer."""
    before = sys.gettrace()
    sys.settrace(Interrupt(count))
    try:
        lock.run(int)
    except KeyboardInterrupt as error:
        return error
    finally:
        sys.settrace(before)
    return None


def test_an_interruption_at_any_line_leaves_it_free_while_the_exception_is_kept() -> None:
    """So also in the first line of what ends a turn."""
    gc.collect()  # so that no finalizer comes in between
    lines = 0
    while True:
        lock = FairLock()
        kept = interrupted(lock, lines)
        if kept is None:
            break
        assert is_free(lock), f"after the interruption at line number {lines}"
        assert lock.waiting == 0
        lines += 1
        del kept
    assert lines > 20


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="Windows has no signals to threads")
def test_a_signal_handler_in_a_thread_that_waits_is_told_too() -> None:
    """It would wait for its own thread, which goes on only when the handler has ended."""
    lock, over, errors = FairLock(), threading.Event(), []

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        try:
            lock.run(int)
        except UsageError as error:
            errors.append(error)
        over.set()

    def hold() -> None:
        until_waiting(lock, 1)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        over.wait(20)

    before = signal.signal(signal.SIGUSR1, on_signal)
    try:
        begun = threading.Event()
        holder = in_thread(lambda: lock.run(lambda: begun.set() or hold()))
        begun.wait()
        assert lock.run(lambda: "in the end") == "in the end"
    finally:
        signal.signal(signal.SIGUSR1, before)
    holder.join()
    assert len(errors) == 1
