from __future__ import annotations

import mmap
import sys
from pathlib import Path

import pytest

from minireason.engine.mapping import release


def resident_kib(path: Path) -> int:
    inside, total = False, 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            inside = line.endswith(str(path))
        elif inside and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it does nothing")
def test_pages_of_a_mapped_model_are_given_back_and_can_be_read_again(tmp_path: Path) -> None:
    model, other = tmp_path / "model.gguf", tmp_path / "other.bin"
    text = bytes(range(256)) * 4096
    for path in (model, other):
        path.write_bytes(text)
    with model.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    with other.open("rb") as file:
        kept = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    with mapped, kept:
        assert mapped[:] == kept[:] == text
        assert resident_kib(model) == resident_kib(other) == len(text) // 1024
        release(model)
        assert resident_kib(model) == 0
        assert resident_kib(other) == len(text) // 1024
        assert mapped[:] == text
