"""Where a command runs: the machine, and whether there is a person to ask."""

from __future__ import annotations

import sys

from minireason.host.hardware import Hardware


def machine() -> Hardware:
    """This machine with its GPUs and, measured once, the speed of its memory."""
    from minireason.backends.loading import machine as probe

    return probe(measured=True)


def interactive() -> bool:
    """Whether there is a person to ask."""
    return (
        sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty() and sys.stdout.isatty()
    )
