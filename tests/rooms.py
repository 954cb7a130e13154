"""The rooms of the house from the ground up, for the test of imports and the bench of calls."""

from __future__ import annotations

from pathlib import Path

import minireason

ROOT = Path(minireason.__file__).parent

ROOMS = [
    "version closing errors checks picture",
    "messages",
    "events",
    "settings",
    "tiny",
    "host",
    "answers",
    "models",
    "runs",
    "engine",
    "reasoning.encoding reasoning.text",
    "reasoning.structured",
    "reasoning",
    "backends",
    "voting",
    "wire",
    "conversation",
    "evaluation",
    "batch",
    "benchmark",
    "reasoner",
    "aio",
    "server",
    "manage testing",
    "__init__",
    "cli.terminal",
    "cli",
    "cli.chat",
    "cli.commands",
    "cli.app cli.main",
    "cli.start",
    "__main__",
]
"""A file imports from its own line and from lines above it, never from one below."""

APART = {
    "voting": "host models engine reasoning",
    "conversation": "models engine",
    "batch": "engine reasoning",
    "wire": "host models engine",
    "server": "engine",
}
"""What a room does not import, though it lies below: of a model these know `Backend` alone."""


def module(path: Path) -> str:
    """The dotted name of a file of ours, without "minireason."."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    return ".".join(parts)


def floor(name: str) -> int:
    """The number of the room that a module is in: the one that names it most closely."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        prefix = ".".join(parts[:length])
        for number, rooms in enumerate(ROOMS):
            if prefix in rooms.split():
                return number
    raise AssertionError(f"{name} is in no room of ROOMS")
