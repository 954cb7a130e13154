"""A context of the real library: slots that are saved, brought back and moved, and a stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from minireason import EngineError
from minireason.engine import sampler
from minireason.engine.base import Batch
from minireason.engine.context import Context
from minireason.engine.context_params import ContextParams
from minireason.engine.library import C
from minireason.engine.model import Model
from minireason.engine.room import CacheShape
from minireason.settings import KvType
from tests.interrupted import Act, every_line

GREEDY = sampler.links(0, 1.0, 0, 1)
KINDS: list[tuple[KvType, bool]] = [("f16", False), ("f16", True), ("q8_0", True)]
PROMPT = "What is 347 + 586? Let us count the foxes, the hares and the geese, one by one."


@pytest.fixture(scope="module", params=["tiny", "shallow"])
def model(request: pytest.FixtureRequest) -> Iterator[Model]:
    model = Model(request.getfixturevalue(f"{request.param}_path"))
    yield model
    model.close()


def tokens_of(model: Model, text: str = PROMPT) -> list[int]:
    bos = [] if model.vocabulary.bos is None else [model.vocabulary.bos]
    return bos + model.vocabulary.tokenize(text, parse_special=False)


def decode(context: Context, slot: int, token: int, position: int) -> int:
    """The likeliest token after one."""
    assert context.decode(Batch.of_slot(slot, [token], position))
    return context.sample(sampler.SamplerChain(GREEDY), 0, 0)


def greedy(context: Context, slot: int, token: int, position: int, count: int = 20) -> list[int]:
    """Go on after the first `position` tokens that a slot holds."""
    context.trim(slot, position)
    taken = [token]
    for at in range(position, position + count):
        taken.append(decode(context, slot, taken[-1], at))
    return taken[1:]


def start(context: Context, slot: int, tokens: list[int]) -> None:
    """Read all but the last token of a prompt into a slot."""
    for at in range(0, len(tokens) - 1, context.n_batch):
        piece = tokens[at : min(at + context.n_batch, len(tokens) - 1)]
        assert context.decode(Batch.of_slot(slot, piece, at, output=False))


def cache(
    model: Model,
    n_slots: int,
    kind: tuple[KvType, bool] = KINDS[0],
    *,
    slot_tokens: int = 256,
    n_batch: int = 8,
    n_ubatch: int = 8,
) -> Context:
    params = ContextParams(n_batch, n_ubatch, 1, *kind)
    return Context(model, CacheShape(n_slots, slot_tokens), params)


@pytest.mark.parametrize(
    ("kind", "source", "target"),
    [
        (KINDS[0], (1, 0), (4, 3)),
        (KINDS[0], (4, 3), (1, 0)),
        (KINDS[1], (3, 1), (2, 0)),
        (KINDS[2], (4, 3), (1, 0)),
    ],
    ids=str,
)
def test_a_saved_slot_goes_on_in_another_context(
    model: Model, kind: tuple[KvType, bool], source: tuple[int, int], target: tuple[int, int]
) -> None:
    """Whatever the numbers of slots, and beside others that hold something else."""
    tokens = tokens_of(model)
    last = len(tokens) - 1
    first, second = cache(model, source[0], kind), cache(model, target[0], kind)
    for slot in range(source[0]):
        start(first, slot, tokens if slot == source[1] else tokens[: 5 + slot])
    state = first.save(source[1])
    alone = greedy(first, source[1], tokens[last], last)
    for slot in range(target[0] - 1):
        start(second, slot, tokens[: 7 + slot])
    second.trim(target[1], 0)
    for _ in range(2):  # it can be brought back again and again
        second.restore(target[1], state)
        assert greedy(second, target[1], tokens[last], last) == alone
        second.trim(target[1], 0)
    first.close()
    second.close()


def test_a_state_of_an_empty_slot_is_empty(model: Model) -> None:
    context = cache(model, 2)
    context.restore(1, context.save(0))
    tokens = tokens_of(model)
    last = len(tokens) - 1
    for slot in (0, 1):
        start(context, slot, tokens)
    assert greedy(context, 1, tokens[last], last) == greedy(context, 0, tokens[last], last)
    context.close()


def test_a_state_that_does_not_fit_is_refused(model: Model) -> None:
    tokens = (tokens_of(model) * 20)[:300]
    large, small = cache(model, 1, slot_tokens=512, n_batch=64, n_ubatch=64), cache(model, 1)
    start(large, 0, tokens)
    with pytest.raises(EngineError, match="read again"):
        small.restore(0, large.save(0))
    start(small, 0, tokens[:20])  # it is empty and can be used
    for slot in (1, -1):
        with pytest.raises(ValueError, match="abort"):
            small.save(slot)
    large.close()
    small.close()


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_slots_move_into_more_and_fewer_and_larger_ones(
    model: Model, kind: tuple[KvType, bool]
) -> None:
    tokens = tokens_of(model)
    shorter = tokens[:12]
    context = cache(model, 3, kind)
    start(context, 0, tokens)
    start(context, 2, shorter)
    sizes = [(3, 600), (5, 512), (3, 300), (3, 256), (4, 256)]
    for n_slots, slot_tokens in sizes:
        assert context.resize(n_slots, slot_tokens)
        assert (context.n_slots, context.slot_tokens) == (n_slots, slot_tokens)
        assert context.n_outputs == 16
    fresh = cache(model, 3, kind)
    start(fresh, 0, tokens)
    start(fresh, 2, shorter)
    for slot, held in ((2, shorter), (0, tokens)):
        last = len(held) - 1
        wanted = greedy(fresh, slot, held[last], last)
        assert greedy(context, slot, held[last], last) == wanted
    assert context.resize(1, 256)
    context.trim(2, 0)  # of a slot that is gone there is nothing to forget
    assert greedy(context, 0, tokens[-1], len(tokens) - 1) == greedy(
        fresh, 0, tokens[-1], len(tokens) - 1
    )
    context.close()
    fresh.close()


def test_a_slot_is_never_used_beyond_its_tokens(tiny_path: Path) -> None:
    model = Model(tiny_path)
    context = cache(model, 2, slot_tokens=10)
    start(context, 1, list(range(1, 12)))
    with pytest.raises(ValueError, match="abort"):
        context.decode(Batch.of_slot(1, [1], 10))
    with pytest.raises(ValueError, match="more than"):
        context.resize(2, 9)
    assert context.resize(1, 9)
    assert context.resize(2, 11)
    context.close()
    model.close()


def test_without_memory_all_is_as_before(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = tokens_of(model)
    last = len(tokens) - 1
    context = cache(model, 2)
    start(context, 1, tokens)
    make = C.llama_init_from_model
    monkeypatch.setattr(
        C,
        "llama_init_from_model",
        lambda pointer, params: make(pointer, params) if params.n_ctx <= 512 else None,
    )
    assert not context.resize(2, 1024)
    assert (context.n_slots, context.slot_tokens) == (2, 256)
    monkeypatch.undo()
    wanted = greedy(context, 1, tokens[last], last)
    with monkeypatch.context() as patch:
        patch.setattr(np, "empty", no_memory)
        assert not context.resize(2, 1024)
    assert greedy(context, 1, tokens[last], last) == wanted
    context.close()


def no_memory(*_: object) -> None:
    raise MemoryError


def test_a_move_without_memory_for_either_is_finished_later(
    tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model(tiny_path)
    tokens = tokens_of(model)
    context = cache(model, 1)
    start(context, 0, tokens)
    with monkeypatch.context() as patch:
        patch.setattr(C, "llama_init_from_model", lambda *_: None)
        with pytest.raises(EngineError, match="smaller"):
            context.resize(2, 512)
    with pytest.raises(EngineError, match="closed"):
        decode(context, 0, 1, 1)
    assert context.finish_resize()
    assert context.n_slots == 2
    fresh = cache(model, 1)
    start(fresh, 0, tokens)
    last = len(tokens) - 1
    assert greedy(context, 0, tokens[last], last) == greedy(fresh, 0, tokens[last], last)
    context.close()
    assert not context.finish_resize()
    fresh.close()
    model.close()


def test_what_does_not_come_back_is_lost_until_all_is_cleared(
    tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model(tiny_path)
    context = cache(model, 1)
    start(context, 0, tokens_of(model))
    with monkeypatch.context() as patch:
        patch.setattr(C, "llama_state_seq_set_data", lambda *_: 0)
        with pytest.raises(EngineError, match="read again"):
            context.resize(2, 256)
    assert not context.finish_resize()
    context.clear()
    assert context.finish_resize()
    assert context.n_slots == 2
    context.close()
    model.close()


@pytest.mark.parametrize(
    "file", ["engine/context.py", "engine/context_params.py", "engine/saved_state.py"]
)
def test_a_move_that_is_interrupted_at_any_line_is_finished(tiny_path: Path, file: str) -> None:
    model = Model(tiny_path)
    tokens = tokens_of(model)[:12]
    last = len(tokens) - 1

    def scenario(through: Callable[[Act], object]) -> list[int]:
        context = cache(model, 2)
        start(context, 1, tokens)

        def move() -> None:
            assert context.finish_resize()
            assert context.resize(3, 512)

        through(move)
        assert (context.n_slots, context.slot_tokens) == (3, 512)
        taken = greedy(context, 1, tokens[last], last, 4)
        context.close()
        return taken

    results = list(every_line(file, scenario))
    assert len(results) > 10
    assert all(result == results[0] for result in results)
    assert results[0] == scenario(lambda act: act())
    model.close()


@pytest.mark.parametrize(
    ("file", "waits"),
    [("engine/helper_call.py", True), ("engine/context.py", True), ("engine/context.py", False)],
)
def test_a_decode_that_is_interrupted_at_any_line_can_be_made_again(
    tiny_path: Path, file: str, waits: bool
) -> None:
    """In the thread that computes, and in one that waits for it."""
    model = Model(tiny_path)
    batch = Batch.of_slot(0, tokens_of(model)[:8], 0)

    def scenario(through: Callable[[Act], object]) -> int:
        context = cache(model, 1)
        if not waits:  # once it is known how long a decode takes
            assert context.decode(batch)

        def decode() -> None:
            context.trim(0, 0)
            while not context.decode(batch):
                context.trim(0, 0)

        through(decode)
        token = context.sample(sampler.SamplerChain(GREEDY), len(batch.tokens) - 1, 0)
        context.close()
        return token

    wanted = scenario(lambda act: act())
    assert set(every_line(file, scenario)) == {wanted}
    model.close()


def test_a_stop_ends_the_next_decode_and_no_other(model: Model) -> None:
    context = cache(model, 1, n_batch=64, n_ubatch=64)
    batch = Batch.of_slot(0, tokens_of(model)[:32], 0, output=False)
    context.stop()
    assert not context.decode(batch)
    assert context.decode(batch)
    context.close()


@pytest.mark.parametrize("in_main_thread", [True, False])
def test_a_stop_from_another_thread_ends_a_decode_that_runs(
    smollm2_path: Path, in_main_thread: bool
) -> None:
    model = Model(smollm2_path)
    context = cache(model, 1, slot_tokens=4096, n_batch=4096, n_ubatch=64)
    tokens = (tokens_of(model) * 300)[:4096]
    count = len(tokens)
    results: list[bool] = []

    def run() -> None:
        results.append(context.decode(Batch.of_slot(0, tokens, 0, output=False)))

    def stop() -> None:
        time.sleep(0.2)
        while not results:
            context.stop()
            time.sleep(0.05)

    threads = [threading.Thread(target=act) for act in ([stop] if in_main_thread else [stop, run])]
    for thread in threads:
        thread.start()
    if in_main_thread:
        run()
    for thread in threads:
        thread.join()
    assert results == [False]
    owner = context.owner
    held = C.llama_memory_seq_pos_max(C.llama_get_memory(owner.pointer), 0) + 1
    assert held < count
    assert held % 64 == 0
    context.close()
    model.close()


def test_slots_side_by_side_equal_the_same_alone(tiny_path: Path) -> None:
    model = Model(tiny_path)
    context, alone = cache(model, 4), cache(model, 1)
    prompts = [tokens_of(model, f"What is {17 * number} + {31 * number}?") for number in range(4)]
    for slot, tokens in enumerate(prompts):
        start(context, slot, tokens)
    taken = [[tokens[-1]] for tokens in prompts]
    for step in range(20):
        positions = [len(tokens) - 1 + step for tokens in prompts]
        batch = Batch([ids[-1] for ids in taken], positions, list(range(4)), [True] * 4)
        assert context.decode(batch)
        for slot, ids in enumerate(taken):
            ids.append(context.sample(sampler.SamplerChain(GREEDY), slot, 0))
    for tokens, ids in zip(prompts, taken, strict=True):
        alone.clear()
        start(alone, 0, tokens)
        assert ids[1:] == greedy(alone, 0, tokens[-1], len(tokens) - 1)
    context.close()
    alone.close()
    model.close()
