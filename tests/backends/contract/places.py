"""The backends that the contract holds for: what each can do, and servers in their own processes.

What a place cannot do it has to refuse: see `test_refusals.py`.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx2

from minireason import Reasoner
from tests.server.serving import WAIT_S

THINKING, FORMS = (
    {"thinking_budget", "thinking", "effort", "thinking_seconds"},
    {"choices", "regex"},
)
OTHERS = {"landing", "min_thinking", "loop_check"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where replies come from: the name of a fixture, and the settings that it can follow."""

    name: str
    follows: set[str] = field(default_factory=set)
    needs: str = ""
    """The module or program without which it is left out."""

    @property
    def missing(self) -> bool:
        """Whether this machine lacks it."""
        return bool(self.needs) and not (shutil.which(self.needs) or find_spec(self.needs))


PLACES = {
    place.name: place
    for place in (
        Place(name="local", follows={*THINKING, *FORMS, *OTHERS, "schema", "begun", "prefill"}),
        Place(name="scripted", follows={*THINKING, *FORMS, *OTHERS, "schema", "begun", "prefill"}),
        Place(name="ours", follows={*THINKING, *FORMS, "schema", "begun", "usage", "sides"}),
        Place(
            name="llama_server",
            follows={*THINKING, "schema", "landing", "loop_check", "usage"},
            needs="llama-server",
        ),
        Place(name="llama_cpp_python", follows={"loop_check"}, needs="sse_starlette"),
    )
}


@dataclass(frozen=True, slots=True)
class Model:
    """A model at a place; `url` is None without a server, `busy` None where nobody can tell."""

    place: Place
    reasoner: Reasoner
    url: str | None = None
    busy: Callable[[], int] | None = None

    def can(self, *names: str) -> bool:
        """Whether the place follows all of these settings."""
        return self.place.follows.issuperset(names)

    def whole(self, **body: Any) -> dict[str, Any]:
        """A reply of the server that is not streamed, as it comes."""
        assert self.url
        asked = {"model": self.reasoner.name, **body}
        answer = httpx2.post(f"{self.url}/chat/completions", json=asked, timeout=WAIT_S)
        whole: dict[str, Any] = answer.raise_for_status().json()
        return whole


@contextmanager
def running(command: Sequence[str | Path]) -> Iterator[str]:
    """A server in a process of its own, once it lists its models; its URL up to /v1."""
    port = _free_port()
    with subprocess.Popen(
        [*map(str, command), "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            url = f"http://127.0.0.1:{port}/v1"
            _wait_for(f"{url}/models", process)
            yield url
        finally:
            process.kill()


def llama_server(path: Path, name: str) -> list[str | Path]:
    """The command of a llama-server with four slots of 4,096 tokens on one thread."""
    sizes = ["-c", "16384", "-np", "4", "-t", "1", "-tb", "1"]
    return ["llama-server", "-m", path, "-a", name, *sizes, "--slots"]


def llama_cpp_python(path: Path, name: str) -> list[str | Path]:
    """The command of llama-cpp-python's own server; a new request does not end the one before."""
    sizes = ["--n_ctx", "4096", "--n_threads", "1", "--n_threads_batch", "1"]
    module = [sys.executable, "-m", "llama_cpp.server", "--model", path, "--model_alias", name]
    return [*module, *sizes, "--logits_all", "false", "--interrupt_requests", "false"]


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + WAIT_S
    while process.poll() is None and time.monotonic() < ends:
        try:
            if httpx2.get(url, timeout=5, trust_env=False).status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"no server at {url}: {process.args!r}")
