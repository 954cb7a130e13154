"""math-verify in its child process, and the hard deadline."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from minireason.answers import math_verify, same

pytestmark = pytest.mark.skipif(not math_verify.available(), reason="needs the extra math")


@pytest.fixture(autouse=True, scope="module")
def _stopped() -> Iterator[None]:
    yield
    math_verify.stop()


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
        short.setattr(math_verify, "DEADLINE_S", 1.0)
        assert not same("9^{9^{9^9}}", "3^x")
    monkeypatch.setattr(
        math_verify, "DEADLINE_S", 60.0
    )  # a busy machine is not what is tested here
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


def workers() -> list[int]:
    """The processes with math-verify that this one started."""
    tasks = Path("/proc/self/task").iterdir()
    pids = [int(pid) for task in tasks for pid in (task / "children").read_text().split()]
    named = b"minireason.answers.math_verify"
    return [pid for pid in pids if named in Path(f"/proc/{pid}/cmdline").read_bytes()]


def worker() -> int:
    """The worker's process, which is there after this."""
    assert same("x(x+1)", "x^2+x")
    (pid,) = workers()
    return pid


def test_a_worker_that_died_is_started_again() -> None:
    os.kill(worker(), signal.SIGKILL)
    time.sleep(0.05)
    assert same("x(x+2)", "x^2+2x")


def test_after_ctrl_c_an_answer_belongs_to_its_own_question() -> None:
    """Interrupted while the worker has not answered: what it says to that question is nobody's."""
    stopped = worker()
    os.kill(stopped, signal.SIGSTOP)
    timer = threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        same("x(x+3)", "x^2+3x")
    timer.join()
    with suppress(ProcessLookupError):
        os.kill(stopped, signal.SIGCONT)
    assert [same("x^2", "x^3"), same("2^{10}", "1024"), same("x^2", "x^4")] == [False, True, False]


def test_an_answer_to_another_question_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that says more than it was asked."""
    math_verify.stop()
    (tmp_path / "math_verify").mkdir()
    code = "def parse(text, **_): return [text]\n"
    code += "def verify(one, two, **_): print('[0, true]', flush=True); return one == two\n"
    (tmp_path / "math_verify" / "__init__.py").write_text(code)
    with monkeypatch.context() as patched:
        patched.syspath_prepend(str(tmp_path))
        assert [math_verify.equal("a", "b"), math_verify.equal("a", "a")] == [False, True]
    math_verify.stop()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_after_a_fork_each_process_asks_its_own_worker() -> None:
    pid = worker()
    forked = os.fork()
    if not forked:
        verdicts = [same("x(x+1)", "x^2+x"), same("x^2", "x^3")]
        own = pid not in workers()
        math_verify.stop()
        os._exit(0 if verdicts == [True, False] and own else 1)
    assert os.waitpid(forked, 0)[1] == 0
    assert same("x(x+1)", "x^2+x")
    assert workers() == [pid]
