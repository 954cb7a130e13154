"""A Ray cluster of this machine alone, whose workers can be killed. Linux."""

from __future__ import annotations

import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import llama_server
import processes
import tools

from minireason.batch.worker import Worker

READY, READY_S, STOP_S = "Ray runtime started", 120.0, 60.0
_STORE_BYTES = 128 * 2**20


@dataclass(frozen=True, slots=True)
class Head:
    """A head of Ray that runs: its address, the process that began it, how it is joined."""

    address: str
    process: int
    environment: dict[str, str]

    def kill_a_worker(self, chosen: random.Random) -> bool:
        """Kill one with the signal that nothing outlives; whether there was one."""
        workers = [process for process in processes.below(self.process) if _is_worker(process)]
        if not workers:
            return False
        with suppress(ProcessLookupError):
            os.kill(chosen.choice(workers), signal.SIGKILL)
        return True


@contextmanager
def running(folder: Path, cpus: int) -> Iterator[Head]:
    """A head with so many places for workers of one core; raises ToolFailed."""
    program = shutil.which("ray", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if not program:
        raise tools.ToolFailed("Ray is not installed: pip install '.[ray]'")
    port = llama_server.free_port()
    sizes = {"--port": port, "--num-cpus": cpus, "--object-store-memory": _STORE_BYTES}
    command = [program, "start", "--head", "--block"]
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    environment = {**os.environ, **token, "RAY_USAGE_STATS_ENABLED": "0"}
    with (
        tempfile.TemporaryDirectory(prefix="ray-") as place,
        (folder / "ray.log").open("w+") as log,
    ):
        command += [*tools.flags(sizes), "--include-dashboard", "false", "--temp-dir", place]
        with subprocess.Popen(command, stdout=log, stderr=log, env=environment) as process:
            try:
                _wait_for(Path(log.name), process)
                yield Head(f"127.0.0.1:{port}", process.pid, environment)
            finally:
                below = processes.below(process.pid)
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(STOP_S)
                if process.poll() is None:
                    process.kill()
                for left in below:
                    with suppress(ProcessLookupError):
                        os.kill(left, signal.SIGKILL)


def _wait_for(log: Path, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + READY_S
    while time.monotonic() < until and process.poll() is None:
        if READY in log.read_text("utf-8", "replace"):
            return
        time.sleep(0.1)
    raise tools.ToolFailed(f"Ray did not start: {log.read_text('utf-8', 'replace')[-1000:]}")


def _is_worker(process: int) -> bool:
    """Whether a process is a worker of ours: Ray gives it a title with the name of its class."""
    with suppress(OSError):
        title = Path(f"/proc/{process}/cmdline").read_bytes()
        return title.startswith(f"ray::{Worker.__name__}".encode())
    return False
