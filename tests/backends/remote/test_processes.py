"""A connection beside forks, threads and the end of its process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from minireason import EngineError, Reasoner
from minireason.backends.remote.backend import RemoteBackend
from tests.backends.remote.misbehaving import Answer, Misbehaving, Stall, chunk
from tests.server.serving import WAIT_S, until

Connect = Callable[..., Reasoner]
Make = Callable[..., Misbehaving]

FORKED = """
import os, sys, warnings
import minireason
warnings.simplefilter("error")
reasoner = minireason.connect(sys.argv[1])
stream = reasoner.stream("?")
next(stream)
warnings.filterwarnings("ignore", "This process.*", DeprecationWarning)
if os.fork():
    os.wait()
    stream.close()
    print(stream.reply.answer)
    sys.exit()
for use in (lambda: reasoner.ask("?"), lambda: next(stream)):
    try:
        use()
    except minireason.EngineError as error:
        print(error)
reasoner.close()
"""

UNDER_WAY = """
import sys
import minireason
stream = minireason.connect(sys.argv[1]).stream("?")
print(next(stream).text)
"""


def run(script: str, url: str) -> tuple[list[str], str]:
    """What a Python that connects to a URL prints, and what it complains of."""
    command = [sys.executable, "-c", script, url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=True)
    return done.stdout.splitlines(), done.stderr


def begun() -> Answer:
    """A reply that never goes on."""
    return Answer([chunk(content="one"), Stall()])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_has_no_connection(misbehaving: Make) -> None:
    printed, complaints = run(FORKED, misbehaving(begun(), begun()).url)
    told, again, answer = printed
    assert told == again
    assert "before this process was forked; connect again." in told
    assert (answer, complaints) == ("one", "")


def test_a_process_ends_with_a_stream_under_way(misbehaving: Make) -> None:
    server = misbehaving(begun())
    assert run(UNDER_WAY, server.url) == (["one"], "")
    assert server.gone.wait(WAIT_S)


def test_a_stream_does_not_wait_on_a_closed_connection(
    misbehaving: Make, connected: Connect
) -> None:
    reasoner = connected(misbehaving(begun()).url)
    stream = reasoner.stream("?")
    next(stream)
    assert isinstance(reasoner.backend, RemoteBackend)
    reasoner.backend.connection.close()
    with pytest.raises(EngineError, match="connect again"):
        next(stream)
    assert stream.reply.answer == "one"


def test_a_question_does_not_wait_on_a_closed_connection(
    misbehaving: Make, connected: Connect
) -> None:
    server = misbehaving()
    backend = connected(server.url).backend
    assert isinstance(backend, RemoteBackend)
    server.pages["/v1/models"] = Answer([Stall()])
    asked = len(server.paths)
    with ThreadPoolExecutor(1) as pool:
        names = pool.submit(backend.list_models)
        until(lambda: len(server.paths) > asked)
        backend.close()
        with pytest.raises(EngineError, match="connect again"):
            names.result(WAIT_S)
