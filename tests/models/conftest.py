"""A Hub with one model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from minireason.models import download
from tests.models.hub import Hub, used
from tests.models.small import KEY


@pytest.fixture
def hub(tiny_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    server = Hub({KEY: tiny_path.read_bytes()})
    used(server, monkeypatch)
    monkeypatch.setattr(download, "WAITS_S", (0.0, 0.0, 0.0))
    yield server
    server.close()
