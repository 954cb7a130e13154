"""From the start of a process to the first piece of its reply, for three programs."""

from __future__ import annotations

import argparse
import functools
import shutil
from collections.abc import Callable

import startup
import tools
from compare import Run, Values

OURS, TEN_LINES = "minireason ask", "ten lines of llama-cpp-python"


def runs(model: str, threads: int) -> dict[str, Run]:
    """A run for each program; the first two are those of `startup.py`."""
    arguments = argparse.Namespace(model=model, threads=threads, no_amx=False)
    begun = {OURS: startup.ours, TEN_LINES: startup.theirs, tools.COMPLETION: completion}
    return {name: run_of(functools.partial(run, arguments)) for name, run in begun.items()}


def run_of(begin: Callable[[], startup.Start]) -> Run:
    """A run out of a function that starts a process."""

    def run(_seed: int) -> Values:
        return {"first_token_s": begin().wall_s}

    return run


def completion(arguments: argparse.Namespace) -> startup.Start:
    """llama.cpp's own program, without its log on standard error."""
    if not shutil.which(tools.COMPLETION):
        raise tools.ToolFailed(f"{tools.COMPLETION} is not on the PATH")
    tool = tools.Subject(arguments.model, arguments.threads)
    plain = ["-no-cnv", "--no-display-prompt", "--no-warmup"]
    command = [tools.COMPLETION, *tool.arguments, "-p", startup.QUESTION, "-n", "8", *plain]
    begun = startup.start(["sh", "-c", 'exec "$@" 2>/dev/null', "sh", *command], own_stderr=True)
    if begun is None:
        raise tools.ToolFailed(f"{tools.COMPLETION} printed nothing")
    return begun
