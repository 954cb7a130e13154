"""A call in a helper thread gives and raises what it would here, and ends when the wait does."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from minireason.engine.helper_call import HelperCall


def test_it_gives_what_the_call_gives_and_holds_the_lock_meanwhile() -> None:
    lock = threading.RLock()
    free: list[bool] = []

    def call() -> threading.Thread:
        other = threading.Thread(target=lambda: free.append(lock.acquire(blocking=False)))
        other.start()
        other.join()
        return threading.current_thread()

    assert HelperCall(call, lock, lambda: None).run() is not threading.current_thread()
    assert free == [False]
    assert lock.acquire(blocking=False)


def test_it_raises_what_the_call_raises() -> None:
    def call() -> int:
        raise ValueError("of the call")

    with pytest.raises(ValueError, match="of the call"):
        HelperCall(call, threading.RLock(), lambda: None).run()


def test_a_wait_that_is_interrupted_stops_the_call_and_sees_its_end() -> None:
    stopped = threading.Event()
    ended: list[bool] = []

    def call() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        ended.append(stopped.wait(10))

    with pytest.raises(KeyboardInterrupt):
        HelperCall(call, threading.RLock(), stopped.set).run()
    assert ended == [True]


def test_a_lock_that_a_debugger_left_with_this_thread_is_given_back() -> None:
    lock = threading.RLock()
    lock.acquire()
    lock.acquire()
    assert HelperCall(lambda: 7, lock, lambda: None).run() == 7
