from __future__ import annotations

import threading

import pytest

from minireason.engine.prefill import Prefill
from minireason.engine.scheduler import Scheduler
from minireason.engine.sequence import PromptOnly, Sequence
from tests.engine.fake import FakeRunner, ListHandler, room


def prompt(number: int, length: int = 50) -> list[int]:
    return list(range(1000 * number, 1000 * number + length))


def start(scheduler: Scheduler, tokens: list[int], limit: int) -> tuple[Sequence, ListHandler]:
    handler = ListHandler(limit)
    sequence = Sequence(tokens, None, handler)
    scheduler.add(sequence)
    return sequence, handler


def run(scheduler: Scheduler) -> None:
    while scheduler.step():
        pass


def ask(scheduler: Scheduler, tokens: list[int], limit: int = 5) -> int:
    """The tokens of a prompt that were cached when it came."""
    sequence, handler = start(scheduler, tokens, limit)
    run(scheduler)
    assert handler.taken == [tokens[-1] + 1 + index for index in range(limit)]
    return sequence.cached_tokens


def test_one_after_another_needs_one_slot_and_finds_what_was_there() -> None:
    runner = FakeRunner()
    scheduler = Scheduler(runner, room())
    for number in range(1, 5):
        assert ask(scheduler, prompt(number)) == 0
    for number in range(1, 5):
        assert ask(scheduler, prompt(number)) == 49, "it was parked"
    assert (runner.n_slots, runner.moves) == (1, [])


def test_idle_prompts_are_in_no_batch() -> None:
    runner = FakeRunner()
    scheduler = Scheduler(runner, room())
    for number in range(1, 5):
        ask(scheduler, prompt(number))
    assert all(batch == [0] for batch in runner.batches)
    assert len(runner.tokens[0]) == 55


def test_without_memory_the_prompt_that_was_parked_first_is_forgotten() -> None:
    scheduler = Scheduler(FakeRunner(), room(slots=1, max_tokens=64, spare=150))
    for number in range(1, 5):
        ask(scheduler, prompt(number))
    assert scheduler.cache.parked_tokens <= 150
    assert [scheduler.cached([*prompt(number), 0]) for number in (1, 2, 3, 4)] == [0, 50, 50, 50]


def test_a_beginning_in_common_stays_with_the_older_prompt() -> None:
    scheduler = Scheduler(FakeRunner(slot_tokens=256), room(256))
    first, second = [*prompt(1), *prompt(2)], [*prompt(1)[:40], *prompt(3)]
    ask(scheduler, first)
    assert ask(scheduler, second) == 40
    assert ask(scheduler, first) == 99


def test_there_are_as_many_slots_as_sequences_and_each_decodes_past_its_own() -> None:
    runner = FakeRunner()
    scheduler = Scheduler(runner, room())
    handlers = [start(scheduler, prompt(number, 10), 20)[1] for number in range(1, 4)]
    run(scheduler)
    assert runner.moves == [(4, 64)]
    assert [handler.taken for handler in handlers] == [
        [1000 * number + 10 + index for index in range(20)] for number in range(1, 4)
    ]


def test_sequences_that_go_on_are_neighbours() -> None:
    runner = FakeRunner()
    scheduler = Scheduler(runner, room())
    handlers = [
        start(scheduler, prompt(number, 4), limit)[1]
        for number, limit in enumerate((30, 5, 30, 30), 1)
    ]
    run(scheduler)
    assert [len(handler.taken) for handler in handlers] == [30, 5, 30, 30]
    assert all(batch == list(range(batch[0], batch[0] + len(batch))) for batch in runner.batches)


def test_the_first_slot_may_be_free_without_a_move() -> None:
    runner = FakeRunner()
    scheduler = Scheduler(runner, room(slots=2))
    start(scheduler, prompt(1, 4), 5)
    start(scheduler, prompt(2, 4), 30)
    run(scheduler)
    assert runner.batches[-1] == [1]


def test_all_slots_become_larger_together() -> None:
    runner = FakeRunner()
    scheduler = Scheduler(runner, room(512, spare=2000))
    handlers = [start(scheduler, prompt(number, 10), 200)[1] for number in range(1, 4)]
    run(scheduler)
    assert runner.moves == [(4, 64), (4, 128), (4, 256)]
    assert [len(handler.taken) for handler in handlers] == [200] * 3


def test_where_slots_cannot_all_grow_the_shortest_waits_and_goes_on_later() -> None:
    runner = FakeRunner()
    scheduler = Scheduler(runner, room(512, max_tokens=512, slots=2))
    _, long = start(scheduler, prompt(1, 100), 350)
    _, short = start(scheduler, prompt(2, 10), 350)
    run(scheduler)
    assert (len(long.taken), len(short.taken)) == (350, 350)
    assert runner.moves[-2:] == [(2, 256), (1, 512)], "one slot was left, with all the room"


def test_after_a_vote_the_memory_is_given_back_and_the_prompt_kept() -> None:
    runner = FakeRunner()
    scheduler = Scheduler(runner, room(512, spare=2000))
    for _ in range(4):
        scheduler.add(Sequence(prompt(1), None, ListHandler(100), cache_reply=False))
    run(scheduler)
    assert (runner.n_slots, runner.slot_tokens) == (4, 256)
    scheduler.release()
    assert (runner.n_slots, runner.slot_tokens) == (1, 64)
    assert ask(scheduler, prompt(1)) == 49


def test_nothing_is_given_back_while_something_runs() -> None:
    runner = FakeRunner()
    scheduler = Scheduler(runner, room())
    _, first = start(scheduler, [1], 20)
    start(scheduler, [100], 3)
    for _ in range(8):
        scheduler.step()
    scheduler.release()
    run(scheduler)
    assert runner.n_slots == 2
    assert len(first.taken) == 20


def test_what_does_not_fit_twice_is_read_again_and_not_moved() -> None:
    runner = FakeRunner(slot_tokens=300)
    scheduler = Scheduler(runner, room(600, max_tokens=600, start=300, slots=1, spare=0))
    _, handler = start(scheduler, prompt(1, 200), 250)
    run(scheduler)
    assert len(handler.taken) == 250
    assert runner.moves == [(1, 600)]
    assert runner.computed > 200 + 250, "some tokens were computed twice"


def test_a_stopped_batch_is_made_again() -> None:
    runner = FakeRunner(n_batch=16)
    scheduler = Scheduler(runner, room())
    _, handler = start(scheduler, prompt(1, 40), 3)
    scheduler.step()
    runner.stop_next = True
    run(scheduler)
    assert handler.taken == [1040, 1041, 1042]


@pytest.mark.parametrize(("reads", "stops"), [("ahead", True), ("a prompt", False)])
def test_reading_ahead_makes_way_at_once_for_whoever_comes(reads: str, stops: bool) -> None:
    runner = FakeRunner()
    scheduler = Scheduler(runner, room())
    other = Sequence([5], None, ListHandler(1))
    thread = threading.Thread(target=scheduler.add, args=(other,))

    def come() -> None:
        thread.start()
        runner.was_stopped.wait(5 if stops else 0.05)

    runner.before_decode = come
    handler = ListHandler(1)
    ahead = PromptOnly(prompt(1), handler)
    scheduler.add(ahead if reads == "ahead" else Sequence(prompt(1), None, handler))
    scheduler.step()
    thread.join()
    assert runner.was_stopped.is_set() is stops


def test_who_comes_goes_on_from_what_was_read_ahead_by_then_in_the_same_slot() -> None:
    runner = FakeRunner()
    scheduler = Scheduler(runner, room())
    ahead = PromptOnly(prompt(1), ListHandler(0))
    scheduler.add(ahead)
    for _ in range(3):
        scheduler.step()
    assert ask(scheduler, prompt(1)) == 21
    assert runner.moves == []
    assert not scheduler.sequences, "the rest is read when nobody else wants anything"


def test_a_prompt_that_nobody_waits_for_any_more_is_not_read_to_its_end() -> None:
    runner = FakeRunner()
    scheduler = Scheduler(runner, room())
    sequence, _ = start(scheduler, prompt(1), 1)
    scheduler.hasten(sequence)
    assert not runner.was_stopped.is_set(), "it is not being read"
    runner.before_decode = lambda: scheduler.hasten(sequence)
    scheduler.step()
    assert runner.was_stopped.is_set()


def test_a_prompt_longer_than_the_first_slot_is_read_ahead() -> None:
    """Where nobody else has a slot or waits for one, room is made for it alone."""
    runner = FakeRunner()
    scheduler = Scheduler(runner, room(n_ctx=600))
    Prefill(scheduler, prompt(1, 300)).run(lambda: False)
    assert scheduler.cached(prompt(1, 301)) == 300
