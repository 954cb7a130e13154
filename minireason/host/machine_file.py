"""machine.json: what was measured of this machine, so that it need not be measured each time."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from minireason.host import files, state
from minireason.host.paths import data_dir


def path() -> Path:
    """Where it lies."""
    return data_dir() / "machine.json"


def read(file: Path) -> state.State:
    """Its content, a table; None where the file is missing or damaged."""
    return state.read_json(file, {})


def change(file: Path, values: dict[str, Any]) -> None:
    """Put values into it by key, and keep its others as they are by now.

    It is written whole. Of two who write at the same moment one loses its values, which are then
    measured again; so they do where nothing may be written.
    """
    content = (read(file).value or {}) | values
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        files.write_whole(file, json.dumps(content).encode())
