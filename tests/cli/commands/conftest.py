"""A loopback Hub with one small model, in the catalogue of the user."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from minireason.host import paths
from tests.models.hub import Hub


@pytest.fixture
def hub(tiny_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    server = Hub({"some/repo/small.gguf": tiny_path.read_bytes()})
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    paths.config_dir().mkdir(parents=True, exist_ok=True)
    (paths.config_dir() / "models.toml").write_text(
        '[small]\n[small.quants.Q8_0]\nrepo = "some/repo"\nfiles = ["small.gguf"]\n'
    )
    yield server
    server.close()
