"""A prefix is shared within a scope, and never tells another scope that it is there."""

from __future__ import annotations

import pytest

from minireason.engine.prefill import Prefill
from minireason.engine.scheduler import Scheduler
from minireason.engine.sequence import Sequence
from tests.engine.fake import FakeRunner, ListHandler, room

PROMPT = list(range(1000, 1050))
LONG = list(range(2000, 2060))


def start(scheduler: Scheduler, tokens: list[int], scope: str, limit: int = 3) -> Sequence:
    sequence = Sequence(tokens, None, ListHandler(limit), cache_scope=scope)
    scheduler.add(sequence)
    return sequence


def ask(scheduler: Scheduler, tokens: list[int], scope: str) -> int:
    """The tokens of a prompt that were not computed again."""
    sequence = start(scheduler, tokens, scope)
    while scheduler.step():
        pass
    return sequence.cached_tokens


def test_what_one_scope_read_is_as_if_never_read_in_another() -> None:
    runner = FakeRunner()
    scheduler = Scheduler(runner, room())
    assert ask(scheduler, PROMPT, "ann") == 0
    before = runner.computed
    assert ask(scheduler, PROMPT, "bob") == 0
    assert runner.computed - before >= len(PROMPT), "all of it was computed"
    assert ask(scheduler, PROMPT, "ann") == len(PROMPT) - 1
    assert ask(scheduler, PROMPT, "bob") == len(PROMPT) - 1


@pytest.mark.parametrize("scopes", [("", "ann"), ("ann", "")])
def test_a_scope_with_a_name_and_the_one_without_share_nothing(scopes: tuple[str, str]) -> None:
    scheduler = Scheduler(FakeRunner(), room())
    first, second = scopes
    assert ask(scheduler, PROMPT, first) == 0
    assert ask(scheduler, PROMPT, second) == 0


def test_parked_prompts_keep_their_scope() -> None:
    scheduler = Scheduler(FakeRunner(), room())
    ask(scheduler, PROMPT, "ann")
    ask(scheduler, LONG, "bob")  # the one slot is needed, and ann's prompt is parked
    assert scheduler.cache.parked_tokens >= len(PROMPT)
    assert scheduler.cached([*PROMPT, 1], "bob") == 0
    assert scheduler.cached([*PROMPT, 1], "ann") == len(PROMPT)
    assert ask(scheduler, [*PROMPT, 1], "bob") == 0
    assert ask(scheduler, [*PROMPT, 1], "ann") == len(PROMPT)


def test_the_same_prompt_of_two_scopes_is_parked_twice() -> None:
    scheduler = Scheduler(FakeRunner(), room())
    for scope in ("ann", "bob"):
        ask(scheduler, PROMPT, scope)
    ask(scheduler, LONG, "eve")
    assert scheduler.cached([*PROMPT, 1], "ann") == len(PROMPT)
    assert scheduler.cached([*PROMPT, 1], "bob") == len(PROMPT)


def test_nobody_waits_for_the_prompt_of_another_scope() -> None:
    """Whoever has the same prompt as one that is being read waits to fork it; others do not."""
    runner = FakeRunner(n_batch=8)
    scheduler = Scheduler(runner, room())
    start(scheduler, PROMPT, "ann")
    scheduler.step()
    of_ann, of_bob = start(scheduler, PROMPT, "ann"), start(scheduler, PROMPT, "bob")
    scheduler.step()
    assert of_ann.slot is None
    # bob stands behind ann in the line, and is admitted with her
    while of_bob.slot is None:
        assert scheduler.step()
    assert of_bob.cached_tokens == 0
    while scheduler.step():
        pass
    assert 2 * len(PROMPT) < runner.computed < 3 * len(PROMPT), "ann's was read once"


def test_a_sequence_of_another_scope_is_admitted_beside_a_prompt_that_is_read() -> None:
    scheduler = Scheduler(FakeRunner(n_batch=8), room())
    start(scheduler, PROMPT, "ann")
    scheduler.step()
    of_bob = start(scheduler, PROMPT, "bob")
    scheduler.step()
    assert of_bob.slot is not None
    assert of_bob.cached_tokens == 0


def test_what_is_read_ahead_belongs_to_its_scope() -> None:
    scheduler = Scheduler(FakeRunner(), room())
    Prefill(scheduler, LONG, "ann").run(lambda: False)
    assert scheduler.cached([*LONG, 1], "ann") == len(LONG)
    assert scheduler.cached([*LONG, 1], "bob") == 0
    assert scheduler.cached([*LONG, 1]) == 0


def test_a_sequence_that_moves_takes_its_scope_along() -> None:
    """Slots side by side are closed up and shrink: what they hold stays whose it was."""
    scheduler = Scheduler(FakeRunner(), room())
    for number, scope in enumerate(("ann", "bob", "eve")):
        start(scheduler, [7, number, *PROMPT], scope, limit=2 + 4 * number)
    while scheduler.step():
        pass
    scheduler.release()
    for number, scope in enumerate(("ann", "bob", "eve")):
        tokens = [7, number, *PROMPT, 1]
        assert scheduler.cached(tokens, scope) == len(tokens) - 1
        assert all(scheduler.cached(tokens, one) <= 1 for one in {"ann", "bob", "eve"} - {scope})
