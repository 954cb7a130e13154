"""What the system tells about itself: its small files, and what programs print."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

_TIMEOUT_S = 10
_FORGET_PEAK = "5"  # proc(5), /proc/PID/clear_refs


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
    """The most memory that this process ever had in RAM, see `forget_peak`; None on Windows."""
    if sys.platform == "linux":
        lines = read(Path("/proc/self/status")).splitlines()
        return next((int(line.split()[1]) * 1024 for line in lines if line[:6] == "VmHWM:"), None)
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def forget_peak() -> None:
    """Let `peak_bytes` be about the time from now on; on Linux only, elsewhere nothing happens."""
    if sys.platform == "linux":
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text(_FORGET_PEAK)
