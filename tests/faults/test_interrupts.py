from __future__ import annotations

import subprocess
import sys

import pytest

from tests.faults import interrupts


@pytest.mark.parametrize(
    ("points", "only"),
    [
        pytest.param("3", "engine/", id="sample"),
        pytest.param("40", "minireason/", id="more", marks=pytest.mark.slow),
    ],
)
def test_answers_are_the_same_after_an_interruption_anywhere(points: str, only: str) -> None:
    """A sample of all points; the script runs every one."""
    command = [sys.executable, interrupts.__file__, "--points", points, "--only", only]
    command += ["--ways", "continue", "twice"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
