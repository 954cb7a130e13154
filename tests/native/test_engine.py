"""The loop over the real library.

What is forked, rewound, grown, shared or cut gives what a fresh run gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import minireason
from minireason import EngineError
from minireason.engine import sampler
from minireason.engine.base import Batch, Step
from minireason.engine.context import Context
from minireason.engine.context_params import ContextParams
from minireason.engine.library import C
from minireason.engine.model import Model
from minireason.engine.room import CacheRoom, CacheShape
from minireason.engine.scheduler import Scheduler
from minireason.engine.sequence import Sequence
from minireason.settings import KvType
from tests.engine.fake import ListHandler

QUESTION = "<｜User｜>What is 12 + 5?<｜Assistant｜><think>\n"


class Engine:
    """A model with a scheduler, made small so that slices and growth happen."""

    def __init__(
        self,
        path: Path,
        slot_tokens: int = 256,
        limit: int = 2048,
        kv_type: KvType = "f16",
        *,
        flash_attention: bool = False,
    ) -> None:
        self.model = Model(path)
        params = ContextParams(32, 32, 1, kv_type, flash_attention)
        self.context = Context(self.model, CacheShape(1, slot_tokens), params)
        room = CacheRoom(limit, 8 * max(256, limit), min(slot_tokens, limit), limit, max_slots=8)
        self.scheduler = Scheduler(self.context, room)

    def start(
        self, prompt: list[int], limit: int, temperature: float = 0, seed: int = 1
    ) -> tuple[Sequence, ListHandler]:
        handler = ListHandler(limit)
        sequence = Sequence(
            prompt, sampler.SamplerChain(sampler.links(temperature, 1.0, 256, seed)), handler
        )
        self.scheduler.add(sequence)
        return sequence, handler

    def run(self) -> None:
        while self.scheduler.step():
            pass

    def alone(
        self, prompt: list[int], limit: int, temperature: float = 0, seed: int = 1
    ) -> list[int]:
        _, handler = self.start(prompt, limit, temperature, seed)
        self.run()
        return handler.taken

    def close(self) -> None:
        self.context.close()
        self.model.close()


@pytest.fixture(params=["tiny", "shallow"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    engine = Engine(request.getfixturevalue(f"{request.param}_path"))
    yield engine
    engine.close()


def prompt(engine: Engine, text: str = QUESTION) -> list[int]:
    bos = [] if engine.model.vocabulary.bos is None else [engine.model.vocabulary.bos]
    return bos + engine.model.vocabulary.tokenize(text, parse_special=True)


def rewind(engine: Engine, sequence: Sequence, handler: ListHandler, keep: int) -> None:
    """Go on after the first `keep` generated tokens."""
    length = sequence.prompt_tokens + keep
    handler.rewind = Step([sequence.tokens[length - 1]], drop=len(sequence.tokens) - length + 1)
    engine.scheduler.step()
    del handler.taken[keep:]


def test_same_seed_same_tokens(engine: Engine) -> None:
    ids = prompt(engine)
    first = engine.alone(ids, 40, 10.0, seed=7)
    assert engine.alone(ids, 40, 10.0, seed=7) == first
    assert engine.alone(ids, 40, 10.0, seed=8) != first


def test_growing_changes_nothing(engine: Engine, request: pytest.FixtureRequest) -> None:
    ids = prompt(engine)
    ids = (ids * 256)[:240]
    grown = engine.alone(ids, 60)
    assert engine.context.slot_tokens > 256
    roomy = Engine(engine.model.path, slot_tokens=1024)
    request.addfinalizer(roomy.close)
    assert roomy.alone(ids, 60) == grown
    assert roomy.context.slot_tokens == 1024


def test_rewind_and_go_on_gives_the_same(engine: Engine) -> None:
    ids = prompt(engine)
    whole = engine.alone(ids, 30)
    sequence, handler = engine.start(ids, 30)
    while len(handler.taken) < 20:
        engine.scheduler.step()
    rewind(engine, sequence, handler, 5)
    engine.run()
    assert handler.taken == whole


@pytest.mark.slow
@pytest.mark.parametrize("kv_type", ["q8_0", "q4_0"])
def test_a_quantized_cache_grows_forks_and_rewinds(
    smollm2_path: Path, kv_type: KvType, request: pytest.FixtureRequest
) -> None:
    engine, roomy = (
        Engine(smollm2_path, kv_type=kv_type),
        Engine(smollm2_path, slot_tokens=1024, kv_type=kv_type),
    )
    request.addfinalizer(engine.close)
    request.addfinalizer(roomy.close)
    ids = prompt(
        engine,
        f"<|im_start|>user\nTell me about foxes{', about foxes' * 80}.<|im_end|>\n"
        "<|im_start|>assistant\n",
    )
    sequence, handler = engine.start(ids, 60)
    while len(handler.taken) < 20:
        engine.scheduler.step()
    rewind(engine, sequence, handler, 10)
    forked, its_handler = engine.start(list(sequence.tokens), 50)
    engine.run()
    assert forked.cached_tokens >= len(ids) + 8
    assert engine.context.slot_tokens > 256, "they outgrew the first cache"
    assert handler.taken[10:] == its_handler.taken
    assert handler.taken == roomy.alone(ids, 60)
    assert roomy.context.slot_tokens == 1024


def test_the_context_ends_a_reply_and_keeps_it(tiny_path: Path) -> None:
    engine = Engine(tiny_path, limit=64)
    ids = prompt(engine)
    _, handler = engine.start(ids, 1000)
    engine.run()
    assert handler.context_full
    assert len(ids) + len(handler.taken) == 64
    engine.close()


def test_fork_and_greedy_equals_fresh_and_greedy(tiny_path: Path) -> None:
    engine, fresh = Engine(tiny_path), Engine(tiny_path)
    ids = prompt(engine)
    sequence, handler = engine.start(ids, 60)
    while len(handler.taken) < 12:
        engine.scheduler.step()
    forks = [engine.start(list(sequence.tokens), 48) for _ in range(3)]
    engine.run()
    alone = fresh.alone(ids, 60)
    assert handler.taken == alone
    for forked, its_handler in forks:
        assert forked.cached_tokens >= len(ids) + 10
        assert handler.taken[:12] + its_handler.taken == alone
    engine.close()
    fresh.close()


def test_eight_side_by_side_equal_the_same_alone(tiny_path: Path) -> None:
    """A batch's shape may change the last bits, and with a sure model no token."""
    together, alone = Engine(tiny_path), Engine(tiny_path)
    questions = [
        prompt(
            together, f"<｜User｜>What is {17 * number} + {31 * number}?<｜Assistant｜><think>\n"
        )
        for number in range(1, 9)
    ]
    started = [together.start(ids, 50, 0.8, seed=index)[1] for index, ids in enumerate(questions)]
    together.run()
    for index, ids in enumerate(questions):
        assert started[index].taken == alone.alone(ids, 50, 0.8, seed=index)
    together.close()
    alone.close()


@pytest.mark.parametrize("times", [1, 2])
def test_growth_goes_on_after_an_interruption(
    tiny_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """The old context is closed and the new one not made yet; then while that is mended."""
    engine, fresh = Engine(tiny_path), Engine(tiny_path, slot_tokens=1024)
    ids = (prompt(engine) * 256)[:240]
    params, left = C.llama_context_default_params, [times]

    def interrupted() -> Any:
        if left[0]:
            left[0] -= 1
            raise KeyboardInterrupt
        return params()

    sequence, handler = engine.start(ids, 60)
    monkeypatch.setattr(C, "llama_context_default_params", interrupted)
    for _ in range(times):
        with pytest.raises(KeyboardInterrupt):
            engine.run()
    decoded = 0
    decode = engine.context.decode

    def counted(batch: Batch) -> bool:
        nonlocal decoded
        decoded += len(batch.tokens)
        return decode(batch)

    monkeypatch.setattr(engine.context, "decode", counted)
    engine.run()
    assert engine.context.slot_tokens > 256
    assert handler.taken == fresh.alone(ids, 60)
    assert decoded < len(sequence.tokens) - 200, "what was cached is still there"
    engine.close()
    fresh.close()


def test_a_state_that_does_not_go_into_a_larger_cache_is_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And is never taken to be there."""
    question = f"What is {'7' * 900} + 1?"
    with minireason.load("tiny", n_threads=1) as reasoner:
        wanted = reasoner.ask(question, temperature=0, max_tokens=400)
    with minireason.load("tiny", n_threads=1) as reasoner:
        restore, failures = C.llama_state_seq_set_data, [0]
        monkeypatch.setattr(
            C,
            "llama_state_seq_set_data",
            lambda *state: failures.pop() if failures else restore(*state),
        )
        stream = reasoner.stream(question, temperature=0, max_tokens=400)
        with pytest.raises(EngineError, match="read again"):
            list(stream)
        stream = reasoner.stream(question, temperature=0, max_tokens=400)
        list(stream)
        assert stream.reply.answer == wanted.answer
