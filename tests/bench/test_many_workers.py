"""The driver of `batch --ray` with simulated workers, which needs neither Ray nor a model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "bench" / "many_workers.py"


@pytest.mark.parametrize("failures_a_day", [0.1, 100])
def test_each_item_is_answered_once_whatever_fails(failures_a_day: float) -> None:
    options = f"--workers 50 --items 3000 --places 4 --failures-a-day {failures_a_day}".split()
    done = subprocess.run(
        [sys.executable, SCRIPT, *options], capture_output=True, text=True, check=True
    )
    row = json.loads(done.stdout)
    assert (row["lost"], row["twice"]) == (0, 0)
    assert (row["begun again"] > 0) == (failures_a_day > 1)
