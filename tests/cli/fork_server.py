"""A process that has imported minireason once and forks a child for each command line.

A child has its own arguments, environment, pipes and exit code, and nothing has run in it before
it begins: the server imports, and neither loads a model nor starts a thread. The other end is
`tests/cli/forked.py`.

Over the control socket (descriptor `argv[1]`) come four descriptors for each command: its standard
input, output and error, and a connection. Over that comes a JSON object with "arguments",
"environment", "folder" (where it stands) and "leads" (a session, on the terminal that its standard
input is), and back go two lines: its process number at once, its exit status in the end.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import json
import os
import socket
import sys
import termios
from contextlib import suppress
from importlib import import_module
from typing import Any

codes: list[int] = []
"""The exit code of the command that has ended in this process, if one has."""


def leave() -> None:
    """End the process of a command as Python does, but do not take Python itself down.

    That would write to all memory which is shared with the server: more than half of what the
    process of a short command costs.
    """
    for code in codes:
        with suppress(OSError, ValueError):  # else Python tries again, and says so
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)


atexit.register(leave)  # before anything else is, so that it comes last

sys.path[0] = os.getcwd()  # where `python -m minireason` has it while it imports the package
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # numpy's would start threads here

import minireason  # noqa: E402

del sys.path[0]

import minireason.cli.app  # noqa: E402
import minireason.cli.start  # noqa: E402
import minireason.reasoner  # noqa: E402

minireason.cli.app.app_for([])  # imports every command
LATE = (
    "minireason.backends.local minireason.backends.remote.backend minireason.batch.local "
    "minireason.cli.chat.commands minireason.cli.chat.editor minireason.cli.main "
    "minireason.cli.terminal.evaluation_report minireason.cli.terminal.meter "
    "minireason.cli.terminal.show minireason.evaluation.replay minireason.evaluation.run "
    "minireason.models.hub minireason.tiny minireason.voting.solve "
    "numpy numpy.ctypeslib anyio._backends._asyncio h11 httpcore2 httpx2 llguidance "
    "importlib.resources.readers sqlite3 starlette.applications uvicorn yaml zipfile"
).split()
"""What commands import when they begin to work. huggingface_hub reads the environment."""

STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def serve(control: socket.socket) -> bool:
    """Fork for each command until the other end closes; True in a child that shall run its own."""
    while True:
        _, received, _, _ = socket.recv_fds(control, 1, 4)
        if not received:
            return False
        if not os.fork():
            control.close()
            return supervise(received)
        for descriptor in received:
            os.close(descriptor)
        with suppress(ChildProcessError):  # there is none, or none that is left
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def supervise(received: list[int]) -> bool:
    """Fork once more, and wait for that child and tell how it ended; only the child returns."""
    *standard, descriptor = received
    connection = socket.socket(fileno=descriptor)
    with connection.makefile("rb") as requests:
        request = json.load(requests)
    child = os.fork()
    if not child:
        connection.close()
        become(request, standard)
        return True
    for descriptor in standard:
        os.close(descriptor)
    connection.sendall(b"%d\n" % child)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    connection.sendall(b"%d\n" % status)
    os._exit(0)


def become(request: dict[str, Any], standard: list[int]) -> None:
    """Make this process what `python -m minireason` is when its first line runs."""
    for target, descriptor in enumerate(standard):
        os.dup2(descriptor, target)
        os.close(descriptor)
    if request["leads"]:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    for target, (name, mode) in enumerate(STREAMS):
        before = getattr(sys, name)
        stream = open(  # noqa: SIM115
            target,
            mode,
            buffering=1 if name == "stderr" or os.isatty(target) else -1,
            encoding=before.encoding,
            errors=before.errors,
            newline="\n",
            closefd=False,
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    program = os.path.join(os.path.dirname(minireason.__file__), "__main__.py")
    sys.modules["__main__"].__file__ = program
    sys.argv = [program, *request["arguments"]]


if __name__ == "__main__":
    with suppress(ImportError):
        import_module("typer._adapters")  # which typer itself imports late, with pydantic
    for name in LATE:
        import_module(name)
    gc.freeze()  # what is imported stays shared
    if serve(socket.socket(fileno=int(sys.argv[1]))):
        try:
            minireason.cli.start.run()
        except SystemExit as leaving:
            codes.append(leaving.code or 0)
            raise
