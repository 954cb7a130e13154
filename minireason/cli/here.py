"""The machine that a command runs on.

Commands that judge models ask here, and only they load llama.cpp for it.
"""

from __future__ import annotations

from minireason.host.hardware import Hardware


def machine() -> Hardware:
    """This machine with its GPUs and, measured once, the speed of its memory."""
    from minireason.backends.loading import machine as probe

    return probe(measured=True)
