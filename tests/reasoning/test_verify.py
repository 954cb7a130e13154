"""math-verify in its child process, and the hard deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from minireason.answers import same
from minireason.reasoning import verify

pytestmark = pytest.mark.skipif(not verify.available(), reason="needs the extra math")


@pytest.fixture(autouse=True, scope="module")
def _stopped() -> Iterator[None]:
    yield
    verify._worker.close()


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        ("x(x+1)", "x^2+x", True),
        ("\\frac{\\pi}{2}", "\\pi/2", True),
        ("\\sqrt{8}", "2\\sqrt{2}", True),
        ("\\{1,2\\}", "\\{2,1\\}", True),
        ("2^{10}", "1024", True),
        ("x^2", "x^3", False),
        ("\\frac{", "\\frac{1", False),
        ("5 cm", "5 m", False),
        ("listen", "silent", False),
        ("5", "5x", False),
    ],
)
def test_what_keys_leave_open(one: str, other: str, wanted: bool) -> None:
    assert (same(one, other), same(other, one)) == (wanted, wanted)


def test_too_long_a_computation_is_cut_off_and_the_next_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as short:
        short.setattr(verify, "DEADLINE_S", 1.0)
        assert not same("9^{9^{9^9}}", "3^x")
    monkeypatch.setattr(verify, "DEADLINE_S", 60.0)  # a busy machine is not what is tested here
    assert same("x(x+1)", "x^2+x")


def test_from_many_threads() -> None:
    verdicts: list[bool] = []

    def work(power: int) -> None:
        verdicts.append(same(f"x^{power}*x", f"x^{power + 1}"))

    threads = [threading.Thread(target=work, args=(power,)) for power in range(2, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verdicts == [True] * 6


def test_a_worker_that_died_is_started_again() -> None:
    assert same("x(x+1)", "x^2+x")
    assert verify._worker._process
    verify._worker._process.kill()
    time.sleep(0.05)
    assert same("x(x+2)", "x^2+2x")
