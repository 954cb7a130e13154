"""The end of a model, of Python and of a process: nothing uses what was freed, and nothing
hangs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import pytest

import minireason
from minireason import EngineError, Message
from minireason.engine import base, sampler
from minireason.engine.base import Batch
from minireason.engine.model import Model
from tests.native.contexts import small

QUESTION = "What is 12 + 5?"


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A program in a process of its own, which may crash there."""
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_call_after_close_is_an_error(tiny_path: Path) -> None:
    model = Model(tiny_path)
    context = small(model, 2)
    chain = sampler.SamplerChain(sampler.links(1.0, 0.9, 40, 1))
    context.decode(Batch.of_slot(0, [1, 2], 0))
    assert context.sample(chain, 1, 0) >= 0
    chain.close()
    calls: list[Callable[[], object]] = [lambda: context.sample(chain, 1, 1)]
    for call in calls:
        with pytest.raises(EngineError, match="closed"):
            call()
    context.close()
    model.close()
    chain = sampler.SamplerChain(sampler.links(1.0, 0.9, 40, 1))
    calls = [
        lambda: context.decode(Batch.of_slot(0, [3], 2)),
        lambda: context.sample(chain, 0, 1),
        lambda: context.confidence(0),
        lambda: context.save(0),
        lambda: context.resize(2, 512),
        context.clear,
        lambda: model.vocabulary.tokenize("x", parse_special=True),
        lambda: model.vocabulary.piece(5),
        lambda: model.vocabulary.special,
        lambda: model.vocabulary.eog,
        partial(small, model),
    ]
    for call in calls:
        with pytest.raises(EngineError, match="closed; load it again"):
            call()
    context.trim(0, 0)  # a stream that ends later frees its place
    context.close()
    model.close()


def test_a_model_closed_first_waits_for_its_context(tiny_path: Path) -> None:
    model = Model(tiny_path)
    context = small(model, 2)
    model.close()
    assert context.decode(Batch.of_slot(0, [1, 2], 0))
    context.close()


def test_a_close_in_the_middle_of_a_call_frees_after_it(tiny_path: Path) -> None:
    """As a signal handler does it, which runs in the thread that holds the lock."""
    model = Model(tiny_path)
    context = small(model, 2)
    only_0 = np.zeros(-(-model.vocabulary.n_vocab // 32), np.int32)
    only_0[0] = 1

    class Closing:
        """A mask that closes all when it is looked at."""

        def view(self, kind: type[np.uint8]) -> npt.NDArray[np.uint8]:
            context.close()
            model.close()
            return only_0.view(kind)

    chain = sampler.SamplerChain(sampler.links(0, 1.0, 0, 1))
    context.decode(Batch.of_slot(0, [1], 0))
    assert context.sample(chain, 0, 0, cast("base.Mask", Closing())) == 0
    with pytest.raises(EngineError, match="closed"):
        context.sample(chain, 0, 1)


def test_using_a_reasoner_after_close() -> None:
    reasoner = minireason.load("tiny", n_threads=1)
    reasoner.ask(QUESTION, max_tokens=4)
    waiting = reasoner.stream(QUESTION)
    running = reasoner.stream("What is 1 + 2?")
    next(running)
    chat = reasoner.chat()
    reasoner.close()
    reasoner.close()
    message = Message(role="user", content="x")
    calls: list[Callable[[], object]] = [
        lambda: list(waiting),
        lambda: list(running),
        running.poll,
        lambda: reasoner.ask("x"),
        lambda: reasoner.stream("x"),
        lambda: reasoner.solve("x"),
        lambda: reasoner.count_tokens("x"),
        lambda: reasoner.prefill([message]),
        lambda: chat.send("x"),
        chat.prefill,
    ]
    for call in calls:
        with pytest.raises(EngineError, match="closed; load it again"):
            call()
    running.close()
    waiting.close()
    assert running.reply.finish_reason == "cancelled"


def end_of(acts: list[Callable[[], object]], close: Callable[[], None]) -> list[BaseException]:
    """What ends each of some acts, done again and again in threads of their own, when it closes in
    the midst of them."""
    begun = [threading.Event() for _ in acts]
    errors: list[BaseException] = []

    def work(act: Callable[[], object], begun: threading.Event) -> None:
        try:
            while True:
                act()
                begun.set()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(acts, begun, strict=True)]
    for thread in threads:
        thread.start()
    for event in begun:
        event.wait()
    close()
    for thread in threads:
        thread.join()
    return errors


LONG_TEXT = "What is 3 + 4? " * 1000


def test_close_while_other_threads_work() -> None:
    history = [
        Message(role="user", content="x " * 200),
        Message(role="assistant", content="y " * 200),
    ]
    for _ in range(2):
        reasoner = minireason.load("tiny", n_threads=1)
        acts: list[Callable[[], object]] = [
            partial(reasoner.ask, QUESTION, temperature=1.0, max_tokens=50),
            partial(reasoner.ask, "x", choices=["a", "b"], effort="none"),
            partial(reasoner.prefill, history),
            lambda reasoner=reasoner: reasoner.count_tokens(f"{time.monotonic()} {LONG_TEXT}"),
        ]
        errors = end_of(acts, reasoner.close)
        assert [type(error) for error in errors] == [EngineError] * len(acts), errors


def test_a_model_closes_while_others_tokenize(tiny_path: Path) -> None:
    for _ in range(3):
        model = Model(tiny_path)
        acts = [partial(model.vocabulary.tokenize, LONG_TEXT, parse_special=True)] * 3
        errors = end_of(acts, model.close)
        assert [type(error) for error in errors] == [EngineError] * len(acts), errors


def test_read_ahead_at_the_end_of_a_with_block() -> None:
    for _ in range(5):
        with minireason.load("tiny", n_threads=1) as reasoner:
            chat = reasoner.chat(read_ahead=True)
            chat.send(f"{QUESTION} {'Take your time. ' * 30}", effort="none", max_tokens=5)
        chat.close()
        names = [thread.name for thread in threading.enumerate()]
        assert "minireason-read-ahead" not in names


DAEMONS = """
import sys, threading, minireason
reasoner = minireason.load(sys.argv[1], n_threads=1)
begun = threading.Event()
def work():
    while True:
        for _ in reasoner.stream("What is 12 + 5?", temperature=1.0, thinking_budget=900):
            begun.set()
def count():
    while True:
        reasoner.count_tokens("x " * 20000 + threading.current_thread().name)
for target in (work, work, count):
    threading.Thread(target=target, daemon=True).start()
begun.wait()
"""


def test_python_ends_while_daemon_threads_stream(slow_path: Path) -> None:
    for model in ("tiny", str(slow_path)):
        ended = run(DAEMONS, model)
        assert (ended.returncode, ended.stderr) == (0, "")


LOADING = """
import sys, threading, minireason
begun = threading.Event()
def work():
    while True:
        minireason.load(sys.argv[1], n_threads=1, on_progress=lambda _: begun.set()).close()
threading.Thread(target=work, daemon=True).start()
begun.wait()
"""


def test_python_ends_while_a_daemon_thread_loads(smollm2_path: Path) -> None:
    assert run(LOADING, str(smollm2_path)).returncode == 0


FORK = """
import os, sys, threading, minireason
from minireason import EngineError, Message
with minireason.load("tiny", n_threads=2) as threaded:
    threaded.ask("x", max_tokens=1)
reasoner = minireason.load(sys.argv[1], n_threads=1)
stream = reasoner.stream("x", temperature=1.0, thinking_budget=300, max_tokens=320)
next(stream)
begun, over = threading.Event(), threading.Event()
def work():  # so that every lock may be held when it forks
    while not over.is_set():
        reasoner.ask("What is 1 + 2?", max_tokens=20)
        reasoner.count_tokens("x " * 5000)
        begun.set()
thread = threading.Thread(target=work, daemon=True)
thread.start()
begun.wait()
message = Message(role="user", content="x")
for _ in range(2):
    child = os.fork()
    if child == 0:
        for index, call in enumerate((
            lambda: reasoner.ask("x"),
            lambda: reasoner.stream("x"),
            lambda: reasoner.solve("x"),
            lambda: reasoner.chat(read_ahead=True).send("x"),
            lambda: reasoner.prefill([message]),
            lambda: reasoner.count_tokens("x"),
            lambda: list(stream),
            lambda: minireason.load("tiny", n_threads=2),
        )):
            try:
                call()
            except EngineError as error:
                assert "fork" in str(error), error
            else:
                sys.exit(f"no error: {index}")
        stream.close()
        with reasoner, minireason.load("tiny", n_threads=1) as own:
            assert own.ask("What is 12 + 5?", temperature=0).boxed == "17"
        del reasoner, stream
        sys.exit(7)
    status = os.waitpid(child, 0)[1]
    assert os.waitstatus_to_exitcode(status) == 7, status
over.set()
thread.join()
list(stream)
assert stream.reply.thinking_end == "budget", stream.reply
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on Windows")
def test_after_a_fork_the_child_is_told_and_the_parent_goes_on(random_path: Path) -> None:
    ended = run(FORK, str(random_path))
    assert (ended.returncode, ended.stderr) == (0, "")
