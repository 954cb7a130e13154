"""Damaged weights, whose logits are not finite: the stream that meets them ends, and nothing
else."""

from __future__ import annotations

import struct
from array import array
from pathlib import Path

import pytest

import minireason
from minireason import LogitsNotFinite
from minireason.engine.model import Model
from minireason.engine.prefill import Prefill
from tests.models.build import damage
from tests.native.test_engine import Engine, prompt

NAN_F16 = b"\x00\x7e"
TRAP = "@"
"""The token whose embedding is damaged."""


@pytest.fixture
def trapped_path(tiny_path: Path, tmp_path: Path) -> Path:
    """tiny with NaN for one token; without flash attention it spreads to all sequences."""
    model = Model(tiny_path, vocab_only=True)
    (token,) = model.vocabulary.tokenize(TRAP, parse_special=False)
    model.close()
    return damage(tiny_path, tmp_path / "trapped.gguf", "token_embd.weight", token, NAN_F16)


@pytest.mark.parametrize("flash", [False, True])
def test_only_the_stream_with_the_damaged_token_fails(trapped_path: Path, flash: bool) -> None:
    engine = Engine(trapped_path, flash_attention=flash)
    ids = prompt(engine)
    alone = engine.alone(ids, 30)
    streams = [engine.start(ids, 30) for _ in range(3)]
    streams[1][0].confidences = noted = array("f")
    for _ in range(6):
        engine.scheduler.step()
    broken, its_handler = engine.start(prompt(engine, f"What is 3 {TRAP} 4, said slowly?"), 30)
    engine.run()
    assert isinstance(its_handler.error, LogitsNotFinite)
    assert not its_handler.taken
    assert broken.slot is None
    assert [handler.taken for _, handler in streams] == [alone] * 3
    assert len(noted) == 31  # the last one is the token that ended it
    assert engine.alone(ids, 30) == alone, "nothing of it is left in the cache"
    engine.close()


@pytest.mark.parametrize("flash", [False, True])
def test_what_was_read_ahead_does_not_reach_others(trapped_path: Path, flash: bool) -> None:
    engine = Engine(trapped_path, flash_attention=flash)
    ids = prompt(engine)
    alone = engine.alone(ids, 10)
    Prefill(engine.scheduler, prompt(engine, f"3 {TRAP} 4")).run(lambda: False)
    assert engine.alone(ids, 10) == alone
    engine.close()


@pytest.mark.parametrize("watched", [False, True])
def test_a_model_without_any_finite_logits(tiny_path: Path, tmp_path: Path, watched: bool) -> None:
    infinite = struct.pack("<f", float("inf"))
    path = damage(tiny_path, tmp_path / "all.gguf", "output_norm.weight", 0, infinite)
    engine = Engine(path)
    streams = [engine.start(prompt(engine, f"{number}"), 30) for number in range(4)]
    for sequence, _ in streams[: 4 if watched else 0]:
        sequence.confidences = array("f")
    engine.run()
    assert all(isinstance(handler.error, LogitsNotFinite) for _, handler in streams)
    assert not engine.scheduler.sequences
    engine.close()


def test_the_reader_gets_the_error_and_what_there_was(trapped_path: Path) -> None:
    with minireason.load(trapped_path, n_threads=1) as reasoner:
        alone = reasoner.ask("What is 12 + 5?", temperature=0).answer
        with (
            reasoner.stream("What is 12 + 5?", temperature=0) as good,
            reasoner.stream(f"{TRAP}?", temperature=0) as bad,
        ):
            with pytest.raises(LogitsNotFinite, match="download it again"):
                next(bad)
            assert list(bad) == []
            assert bad.reply.answer == ""
            assert list(good)[-1]
            assert good.reply.answer == alone
        with pytest.raises(LogitsNotFinite):
            reasoner.ask(f"{TRAP}?")
        assert reasoner.ask("What is 12 + 5?", temperature=0).answer == alone
