"""What the system tells about itself: its small files, and what programs print."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

_TIMEOUT_S = 10


def read(path: Path) -> str:
    """The text of a small file; "" where it cannot be read."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""


def output(program: str, *arguments: str) -> str:
    """What a program prints; "" if it is not there, fails or hangs."""
    path = shutil.which(program)
    if path is None:
        return ""
    try:
        done = subprocess.run(
            [path, *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def peak_bytes() -> int | None:
    """The most memory that this process ever had in RAM; None on Windows."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
