from __future__ import annotations

import threading
import time

import pytest

from minireason.engine.lock import FairLock


def until_waiting(lock: FairLock, threads: int) -> None:
    while lock.waiting < threads:
        time.sleep(0.001)


def test_who_comes_back_goes_behind_those_who_wait() -> None:
    lock, order = FairLock(), []

    def work(name: str) -> None:
        with lock.turn():
            order.append(name)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    with lock.turn():
        for count, thread in enumerate(threads, 1):
            thread.start()
            until_waiting(lock, count)
    work("the first again")
    for thread in threads:
        thread.join()
    assert order == ["a", "b", "c", "the first again"]


def test_within_a_turn_the_same_thread_may_take_another() -> None:
    lock = FairLock()
    with lock.turn():
        with lock.turn():
            pass
        other = threading.Thread(target=lock.turn().__enter__)
        other.start()
        until_waiting(lock, 1)
        assert other.is_alive(), "the outer turn goes on"
    other.join()


@pytest.mark.parametrize("ended", [True, False])
def test_a_turn_that_an_interruption_kept_from_ending_is_over_when_it_is_dropped(
    ended: bool,
) -> None:
    lock = FairLock()
    turn = lock.turn()
    turn.__enter__()
    if ended:
        turn.__exit__(None, None, None)
    del turn
    other = threading.Thread(target=lock.turn().__enter__)
    other.start()
    other.join()
    assert not other.is_alive()
