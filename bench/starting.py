"""From the start of a process to the first piece of its reply, for three programs."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path

import tools
from compare import Run, Values

OURS, TEN_LINES = "minireason ask", "ten lines of llama-cpp-python"
QUESTION = "Why is the sky blue?"
SCRIPT = Path(__file__).with_name("ten_lines.py")


def first_byte_s(command: list[str], *, errors: bool) -> float:
    """Seconds until a command prints the first byte on standard output, or error too."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if errors else subprocess.DEVNULL,
    )
    assert process.stdout is not None
    with process, process.stdout as output:
        select.select([output], [], [])
        seconds = time.perf_counter() - began
        if not os.read(output.fileno(), 1):
            raise tools.ToolFailed(f"{command[0]} printed nothing")
        process.kill()
    return seconds


def runs(model: str, threads: int) -> dict[str, Run]:
    """A run for each program; ours writes a thought to standard error."""
    ours = [sys.executable, "-m", "minireason", "ask", "--model", model]
    ours += ["--threads", str(threads), QUESTION]
    script = [sys.executable, str(SCRIPT), model, str(threads), QUESTION]
    tool = [tools.COMPLETION, "-m", model, "-t", str(threads), "-p", QUESTION, "-n", "8"]
    tool += ["-no-cnv", "--no-display-prompt", "--no-warmup"]
    commands = {OURS: ours, TEN_LINES: script, tools.COMPLETION: tool}
    return {name: run_of(command, errors=name == OURS) for name, command in commands.items()}


def run_of(command: list[str], *, errors: bool) -> Run:
    def run(_seed: int) -> Values:
        try:
            return {"first_token_s": first_byte_s(command, errors=errors)}
        except FileNotFoundError:
            raise tools.ToolFailed(f"{command[0]} is not on the PATH") from None

    return run
