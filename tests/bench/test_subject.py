"""What all sides of a comparison are given."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

import minireason
from tests.conftest import bench


@pytest.fixture(scope="module")
def subject(shapes: ModuleType) -> ModuleType:
    return bench("subject")


def test_words_are_the_same_each_time(subject: ModuleType) -> None:
    assert subject.words(50, 3) == subject.words(50, 3) != subject.words(50, 4)
    assert len(subject.words(50).split()) == 50


@pytest.mark.slow
def test_the_copy_of_a_model_never_ends(
    subject: ModuleType, smollm2_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIREASON_BENCH_DIR", str(tmp_path))
    copy = subject.endless(smollm2_path)
    assert copy.stat().st_size == smollm2_path.stat().st_size
    assert subject.endless(smollm2_path) == copy
    question, settings = "Say yes.", {"temperature": 0, "max_tokens": 100, "loop_check": False}
    for path, reason in ((smollm2_path, "stop"), (copy, "length")):
        with minireason.load(path, n_threads=1) as reasoner:
            assert reasoner.ask(question, **settings).finish_reason == reason


def test_a_file_without_such_ends_stays_as_it_is(subject: ModuleType, random_path: Path) -> None:
    assert subject.endless(random_path) == random_path
