"""Models beside one another, within the memory of one machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import minireason
from minireason.backends import loading
from minireason.errors import DoesNotFit
from minireason.host.hardware import Hardware
from minireason.messages import as_messages
from minireason.models import gguf
from minireason.server.opening import open_beside
from minireason.settings import LoadSettings
from tests.local import local

REQUESTED = LoadSettings(n_threads=1)


def free(monkeypatch: pytest.MonkeyPatch, free_bytes: int) -> None:
    """Let so much memory be free."""
    here = loading.machine()

    def machine(*, measured: bool = False) -> Hardware:
        return replace(here, free_bytes=free_bytes)

    monkeypatch.setattr(loading, "machine", machine)


def test_what_a_model_may_still_take_is_not_given_away(
    tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with minireason.load("tiny", n_threads=1) as first:
        reserved = local(first).reserved_bytes
        assert reserved > 0
        needed = loading.needed_bytes(tiny_path, replace(REQUESTED, n_ctx=1024))
        free(monkeypatch, needed + reserved // 2)
        alone = open_beside("tiny", replace(REQUESTED, n_ctx=1024))
        alone.close()
        with pytest.raises(DoesNotFit):
            open_beside("tiny", replace(REQUESTED, n_ctx=1024), loaded=[first.backend])


def test_a_cache_that_has_grown_reserves_less(tiny_path: Path) -> None:
    with minireason.load("tiny", n_threads=1) as model:
        before = local(model).reserved_bytes
        question = as_messages("word " * 700)
        model.prefill(question)
        local(model).scheduler.reserve(1900)
        assert local(model).reserved_bytes < before


def test_weights_that_are_not_rearranged_are_reserved_as_pages_of_the_file(
    random_path: Path,
) -> None:
    reserved = []
    for repack in (False, True):
        with minireason.load(random_path, n_threads=1, n_ctx=1024, repack=repack) as model:
            reserved.append(local(model).reserved_bytes)
    plain, repacked = reserved
    header = gguf.check(random_path)
    assert 0 < header.repackable_bytes < header.tensor_bytes
    assert plain - repacked == header.repackable_bytes


def test_room_is_left_for_those_that_are_expected(
    tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = loading.needed_bytes(tiny_path, REQUESTED)
    free(monkeypatch, 4 * needed)
    alone, beside = (
        open_beside("tiny", REQUESTED, expected=expected) for expected in ([], [tiny_path] * 2)
    )
    tokens = [local(model).plan.cache_tokens for model in (alone, beside)]
    assert tokens[0] > tokens[1]
    for model in (alone, beside):
        model.close()


def test_where_both_cannot_be_the_first_is_loaded_all_the_same(
    tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = loading.needed_bytes(tiny_path, REQUESTED)
    free(monkeypatch, needed * 3 // 2)
    open_beside("tiny", REQUESTED, expected=[tiny_path]).close()


def test_a_file_that_is_no_model_needs_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"no model")
    open_beside("tiny", REQUESTED, expected=[tmp_path / "x.gguf"]).close()
