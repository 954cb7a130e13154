"""The page of the command line's reference is what the commands say today."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_reference_is_what_the_commands_say() -> None:
    script = [sys.executable, str(ROOT / "scripts" / "cli_reference"), "--print"]
    said = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    page = (ROOT / "docs" / "reference" / "cli.md").read_text("utf-8")
    assert said == page, "run scripts/cli_reference"
    assert said.count("\nUsage: minireason ") == said.count("\n## minireason") > 10
    assert max(map(len, said.partition("```text")[2].splitlines())) <= 80
