"""Errors of a machine of a cluster, told on another."""

from __future__ import annotations

import socket

from minireason.errors import MinireasonError


def located(error: MinireasonError) -> MinireasonError:
    """The error, saying on which machine it is."""
    error.args = (f"On the worker {socket.gethostname()}: {error}",)
    return error
