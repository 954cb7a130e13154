from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason import ContextFull, EngineError, LogitsNotFinite, UsageError
from minireason.engine.base import Step, all_but
from minireason.engine.prefill import Prefill
from minireason.engine.scheduler import Scheduler
from minireason.engine.sequence import PromptOnly, Sequence, common_prefix
from tests.engine.fake import FakeRunner, ListHandler, room


def start(
    scheduler: Scheduler,
    prompt: list[int],
    limit: int,
    forced: dict[int, list[int]] | None = None,
    *,
    unread_limit: int | None = None,
) -> tuple[Sequence, ListHandler]:
    handler = ListHandler(limit, forced)
    sequence = Sequence(prompt, None, handler, unread_limit=unread_limit)
    scheduler.add(sequence)
    return sequence, handler


def run(scheduler: Scheduler) -> int:
    steps = 0
    while scheduler.step():
        steps += 1
        assert steps < 10_000, "the loop does not end"
    return steps


def test_prefill_in_slices_and_the_last_token_alone() -> None:
    runner = FakeRunner(n_batch=8)
    scheduler = Scheduler(runner, room())
    sequence, handler = start(scheduler, list(range(100, 121)), 3)
    run(scheduler)
    assert runner.decodes == [(7, 0), (7, 0), (6, 0), (1, 1), (1, 1), (1, 1), (1, 1)]
    assert handler.taken == [121, 122, 123]
    assert sequence.tokens == [*range(100, 124)]


def test_sequences_share_batches() -> None:
    runner = FakeRunner()
    scheduler = Scheduler(runner, room())
    handlers = [start(scheduler, [10 * index], 5)[1] for index in range(1, 4)]
    run(scheduler)
    assert [handler.taken for handler in handlers] == [
        [11, 12, 13, 14, 15],
        [21, 22, 23, 24, 25],
        [31, 32, 33, 34, 35],
    ]
    assert runner.decodes == [(3, 3)] * 6


def test_decoding_goes_on_while_another_prompt_is_read() -> None:
    runner = FakeRunner(n_batch=4)
    scheduler = Scheduler(runner, room())
    _, short = start(scheduler, [1], 4)
    _, long = start(scheduler, list(range(50, 60)), 1)
    run(scheduler)
    assert (short.taken, long.taken) == ([2, 3, 4, 5], [60])
    assert runner.decodes[:3] == [(4, 1), (4, 1), (4, 1)]


def test_forced_tokens_are_decoded_like_any() -> None:
    runner = FakeRunner()
    scheduler = Scheduler(runner, room())
    sequence, handler = start(scheduler, [1], 5, {2: [70, 80]})
    run(scheduler)
    assert handler.taken == [2, 3, 70, 80, 81]
    assert runner.tokens[0] == sequence.tokens == [1, 2, 3, 70, 80, 81]


def test_a_paused_sequence_sits_out_and_others_go_on() -> None:
    scheduler = Scheduler(FakeRunner(), room())
    unread, idle = start(scheduler, [1], 9, unread_limit=4)
    _, busy = start(scheduler, [50], 8)
    run(scheduler)
    assert (len(idle.taken), len(busy.taken)) == (4, 8)
    unread.note_read()
    run(scheduler)
    assert len(idle.taken) == 8
    unread.note_read()
    run(scheduler)
    assert len(idle.taken) == 9


def test_a_step_for_a_reader_is_left_out_once_another_brought_its_token() -> None:
    runner = FakeRunner()
    scheduler = Scheduler(runner, room())
    reader, _ = start(scheduler, [1], 3)
    assert scheduler.step(reader, seen=0)
    assert scheduler.step(reader, seen=0), "it is there already"
    assert (reader.draws, len(runner.decodes)) == (1, 1)
    scheduler.remove(reader)
    assert not scheduler.step(reader, seen=0), "it has ended"


def test_longest_prefix_is_kept() -> None:
    runner = FakeRunner(slot_tokens=256)
    scheduler = Scheduler(runner, room(256))
    start(scheduler, [1, 2, 3, 4, 5, 6], 2)
    run(scheduler)
    runner.decodes.clear()
    again, handler = start(scheduler, [1, 2, 3, 4, 5, 6], 2)
    assert handler.cached_tokens is None, "it has no slot yet"
    run(scheduler)
    assert again.cached_tokens == handler.cached_tokens == 5
    assert runner.decodes == [(1, 1)] * 3
    assert runner.tokens == [[1, 2, 3, 4, 5, 6, 7, 8]], "in its place, not in another slot"


def test_a_live_prefix_is_shared_not_computed() -> None:
    runner = FakeRunner(slot_tokens=256)
    scheduler = Scheduler(runner, room(256))
    start(scheduler, [1, 2, 3, 4, 5, 6], 20)
    for _ in range(4):
        scheduler.step()
    computed = runner.computed
    forked, handler = start(scheduler, [1, 2, 3, 4, 5, 6], 2)
    scheduler.step()
    assert forked.cached_tokens == 5
    assert runner.computed == computed + 2
    run(scheduler)
    assert handler.taken == [7, 8]


def test_removal_frees_the_slot_at_once() -> None:
    scheduler = Scheduler(FakeRunner(), room(slots=1))
    first, _ = start(scheduler, [1], 50)
    _, second = start(scheduler, [9], 2)
    scheduler.step()
    assert not second.taken
    scheduler.remove(first)
    run(scheduler)
    assert second.taken == [10, 11]


def test_rewind_goes_on_from_there() -> None:
    runner = FakeRunner()
    scheduler = Scheduler(runner, room())
    sequence, handler = start(scheduler, [1, 2], 100)
    for _ in range(8):
        scheduler.step()
    handler.rewind = Step([4], drop=len(sequence.tokens) - 3)
    scheduler.step()
    assert sequence.tokens == [1, 2, 3, 4]
    handler.taken.clear()
    scheduler.step()
    assert handler.taken == [5]


def test_the_mask_of_a_step_is_that_of_the_next_draw_alone() -> None:
    runner = FakeRunner()
    scheduler = Scheduler(runner, room())
    first, later = all_but(3, 64), all_but(5, 64)
    handler = ListHandler(4)
    scheduler.add(Sequence([1], None, handler, mask=first))
    scheduler.step()
    handler.rewind = Step([7], mask=later)
    run(scheduler)
    assert [id(mask) for mask in runner.masks[:4]] == [id(first), id(None), id(later), id(None)]


def test_context_grows_up_to_the_limit_then_the_reply_ends() -> None:
    runner = FakeRunner(slot_tokens=4)
    scheduler = Scheduler(runner, room(32, start=4))
    sequence, handler = start(scheduler, [1, 2, 3], 1000)
    run(scheduler)
    assert runner.moves == [(1, 8), (1, 16), (1, 32)]
    assert handler.context_full
    assert len(sequence.tokens) == 32
    assert handler.taken == [*range(4, 33)]


def test_too_long_a_prompt_is_refused_with_numbers() -> None:
    scheduler = Scheduler(FakeRunner(), room(16))
    with pytest.raises(ContextFull) as caught:
        start(scheduler, list(range(16)), 1)
    assert (caught.value.prompt_tokens, caught.value.n_ctx) == (16, 16)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("decode")])
def test_an_interrupted_decode_leaves_the_cache_as_the_lists_say(error: BaseException) -> None:
    runner = FakeRunner()
    scheduler = Scheduler(runner, room())
    sequence, handler = start(scheduler, [1, 2, 3], 6)
    scheduler.step()
    runner.fail_next = error
    with pytest.raises(type(error)):
        scheduler.step()
    run(scheduler)
    assert handler.taken == [4, 5, 6, 7, 8, 9]
    assert runner.tokens[0] == sequence.tokens


def test_an_interruption_between_decode_and_sample_loses_nothing() -> None:
    runner = FakeRunner()
    scheduler = Scheduler(runner, room())
    handlers = [start(scheduler, [10 * index], 4)[1] for index in range(1, 4)]
    scheduler.step()
    runner.fail_sample = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        scheduler.step()
    run(scheduler)
    assert [handler.taken for handler in handlers] == [
        [11, 12, 13, 14],
        [21, 22, 23, 24],
        [31, 32, 33, 34],
    ]


def test_one_prompt_asked_many_times_is_read_once() -> None:
    runner = FakeRunner(slot_tokens=512, n_batch=16)
    scheduler = Scheduler(runner, room(512))
    prompt = list(range(100))
    handlers = [start(scheduler, prompt, 3)[1] for _ in range(4)]
    run(scheduler)
    assert [handler.taken for handler in handlers] == [[100, 101, 102]] * 4
    assert sum(count for count, _ in runner.decodes) == 99 + 4 * 4, (
        "the last token and what follows four times, the rest once"
    )


def test_without_memory_to_grow_the_reply_ends_and_is_kept() -> None:
    runner = FakeRunner(slot_tokens=8)
    runner.most = 16
    scheduler = Scheduler(runner, room(start=8))
    _, handler = start(scheduler, [1], 100)
    run(scheduler)
    assert handler.context_full
    assert handler.taken == [*range(2, 2 + len(handler.taken))]
    assert len(handler.taken) == 16


@pytest.mark.parametrize("most", [16, 1_000])
def test_the_cache_grows_while_what_a_sequence_keeps_is_still_free(most: int) -> None:
    runner = FakeRunner(slot_tokens=16)
    runner.most = most
    scheduler = Scheduler(runner, room(slots=1, start=16))
    sequence, handler = start(scheduler, [1, 2], 30)
    _, waiting = start(scheduler, [1, 2], 30)
    handler.kept = 6
    while runner.slot_tokens == 16 and handler.told_limit is None:
        assert len(sequence.tokens) + handler.kept <= 17
        scheduler.step()
    told = 16 if most == 16 else None
    assert (scheduler.n_ctx, handler.told_limit, waiting.told_limit) == (told or 64, told, told)


def test_what_a_finalizer_drops_is_gone_before_the_next_step() -> None:
    scheduler = Scheduler(FakeRunner(), room(slots=1))
    dropped, _ = start(scheduler, [1], 50)
    _, second = start(scheduler, [9], 1)
    scheduler.step()
    scheduler.drop(dropped)
    run(scheduler)
    assert second.taken == [10]


@given(
    prompts=st.lists(
        st.tuples(st.integers(1, 5), st.integers(1, 20), st.integers(1, 25)), min_size=1, max_size=9
    ),
    n_batch=st.integers(4, 12),
    start_tokens=st.integers(8, 64),
    most=st.integers(64, 300),
    spare=st.integers(0, 100),
)
def test_any_mix_comes_out_as_if_alone(
    prompts: list[tuple[int, int, int]], n_batch: int, start_tokens: int, most: int, spare: int
) -> None:
    """However short memory, batches and slots are: each gets its own tokens, up to the limit."""
    runner = FakeRunner(slot_tokens=start_tokens, n_batch=n_batch)
    runner.most = most
    scheduler = Scheduler(runner, room(start=start_tokens, spare=spare))
    started = [
        (
            base * 1000,
            length,
            limit,
            *start(scheduler, [base * 1000 + index for index in range(length)], limit),
        )
        for base, length, limit in prompts
    ]
    run(scheduler)
    for base, length, limit, sequence, handler in started:
        wanted = [base + index for index in range(length, length + limit)]
        assert handler.taken == wanted[: len(handler.taken)]
        assert len(handler.taken) == limit or (handler.context_full and len(sequence.tokens) == 64)


@given(st.lists(st.integers(0, 2), max_size=30), st.lists(st.integers(0, 2), max_size=30))
def test_common_prefix(first: list[int], second: list[int]) -> None:
    count = common_prefix(first, second)
    assert first[:count] == second[:count]
    assert count == min(len(first), len(second)) or first[count] != second[count]


def test_a_prefill_only_sequence_ends_before_its_last_token() -> None:
    runner = FakeRunner()
    scheduler = Scheduler(runner, room())
    handler = ListHandler(5)
    scheduler.add(PromptOnly(list(range(20)), handler))
    while scheduler.step():
        pass
    assert (handler.taken, scheduler.sequences, runner.tokens[0]) == ([], [], list(range(19)))


@pytest.mark.parametrize(("wide", "read_for_40"), [(0, 40), (64, 64)])
def test_a_short_rest_over_a_long_prefix_is_read_with_some_of_it_where_that_is_quicker(
    wide: int, read_for_40: int
) -> None:
    runner = FakeRunner(slot_tokens=1024, n_batch=128)
    runner.wide_tokens = wide
    scheduler = Scheduler(runner, room(1024))
    start(scheduler, list(range(400)), 1)
    run(scheduler)
    for rest, read in ((40, read_for_40), (10, 10), (100, 100)):
        runner.decodes.clear()
        start(scheduler, [*range(300), *range(rest * 1000, rest * 1000 + rest + 1)], 1)
        run(scheduler)
        assert runner.decodes[0] == (read, 0)


def test_without_cache_reply_only_the_prompt_stays_in_the_cache() -> None:
    runner = FakeRunner()
    scheduler = Scheduler(runner, room())
    prompt = list(range(10, 20))
    handler = ListHandler(20)
    scheduler.add(Sequence(prompt, None, handler, cache_reply=False))
    run(scheduler)
    assert len(handler.taken) == 20
    assert [slot.cached for slot in scheduler.cache.slots if slot.cached] == [prompt]
    again, _ = start(scheduler, prompt, 1)
    run(scheduler)
    assert again.cached_tokens == len(prompt) - 1


def test_reading_ahead_reads_nothing_that_is_there_already() -> None:
    runner = FakeRunner(slot_tokens=2048, n_batch=128)
    scheduler = Scheduler(runner, room(2048))
    start(scheduler, list(range(10_000, 10_900)), 20)
    run(scheduler)
    before = sum(count for count, _ in runner.decodes)
    history = [*range(10_000, 10_900), *range(20_000, 20_150)]
    assert Prefill(scheduler, history).run(lambda: False) == 1050
    assert sum(count for count, _ in runner.decodes) - before == 150
    assert scheduler.cached([*history, 1]) == 1050


def test_whose_logits_are_not_finite_fails_alone() -> None:
    runner = FakeRunner(slot_tokens=256)
    runner.damaged = {77}
    scheduler = Scheduler(runner, room(256))
    handlers = [start(scheduler, [10 * index, 10 * index + 1], 30)[1] for index in range(1, 4)]
    for _ in range(5):
        scheduler.step()
    _, broken = start(scheduler, [70, 77, 71], 30)
    late = start(scheduler, [200, 201], 3)[1]
    run(scheduler)
    assert isinstance(broken.error, LogitsNotFinite)
    assert not broken.taken
    assert [handler.taken for handler in handlers] == [
        [*range(10 * index + 2, 10 * index + 32)] for index in range(1, 4)
    ]
    assert late.taken == [202, 203, 204]
    assert not any(handler.error for handler in (*handlers, late))
    assert not scheduler.sequences


def test_what_was_prefill_only_breaks_nobody() -> None:
    runner = FakeRunner(slot_tokens=256)
    runner.damaged = {77}
    scheduler = Scheduler(runner, room(256))
    Prefill(scheduler, [70, 77, 71]).run(lambda: False)
    _, handler = start(scheduler, [10, 11], 3)
    run(scheduler)
    assert handler.taken == [12, 13, 14]
    assert handler.error is None


def test_a_long_prompt_is_read_while_short_ones_keep_coming() -> None:
    runner = FakeRunner(slot_tokens=4096, n_batch=16)
    scheduler = Scheduler(runner, room(4096))
    _, long = start(scheduler, list(range(10_000, 10_400)), 1)
    steps = 0
    while not long.taken:
        while len(scheduler.sequences) < 4:
            start(scheduler, [steps, *range(20_000, 20_020)], 1)
            steps += 1
        scheduler.step()
        assert scheduler.clock < 80, "half of each batch is enough in 50 steps"


@pytest.mark.parametrize("limit", [8, 40])
def test_one_that_is_read_goes_on_in_the_place_of_one_that_is_not(limit: int) -> None:
    """Whether all places are taken or, with so many tokens, all of the cache."""
    scheduler = Scheduler(FakeRunner(), room(slots=2))
    started = [start(scheduler, [1000 * index], limit) for index in range(1, 4)]
    handlers = [handler for _, handler in started]
    for _ in range(3):
        scheduler.step()
    for sequence, _ in started[:2]:
        sequence.unread_limit = 0
    run(scheduler)
    assert len(handlers[2].taken) == limit
    for sequence, _ in started[:2]:
        sequence.unread_limit = None
    run(scheduler)
    for index, handler in enumerate(handlers, 1):
        assert handler.taken == [*range(1000 * index + 1, 1000 * index + 1 + limit)]


def test_a_prompt_for_which_there_is_no_memory_fails_and_says_so() -> None:
    runner = FakeRunner(slot_tokens=16)
    runner.most = 16
    scheduler = Scheduler(runner, room(start=16))
    _, handler = start(scheduler, list(range(30)), 5)
    _, short = start(scheduler, [900], 5)
    run(scheduler)
    assert isinstance(handler.error, EngineError)
    assert "memory" in str(handler.error)
    assert not handler.context_full, "it is no reply that came to the context's end"
    assert len(short.taken) == 5


def test_cached_is_what_was_there_before_the_sequence_came() -> None:
    scheduler = Scheduler(FakeRunner(slot_tokens=512, n_batch=16), room(512))
    prompt = list(range(100))
    first, waited = (start(scheduler, prompt, 3)[0] for _ in range(2))
    run(scheduler)
    later, _ = start(scheduler, prompt, 3)
    run(scheduler)
    assert [sequence.cached_tokens for sequence in (first, waited, later)] == [0, 0, 99]


def test_reading_ahead_ends_beside_streams_that_nobody_reads_and_after_dropped_ones() -> None:
    runner = FakeRunner(slot_tokens=512)
    scheduler = Scheduler(runner, room(512, slots=2))
    dropped, _ = start(scheduler, [1], 50)
    held, _ = start(scheduler, [9], 5)
    scheduler.step()
    scheduler.drop(dropped)
    assert Prefill(scheduler, list(range(200, 230))).run(lambda: False) == 30
    assert scheduler.cached(list(range(200, 231))) == 30
    for _ in range(2):
        start(scheduler, [50], 5, unread_limit=0)
    held.unread_limit = 0
    assert Prefill(scheduler, list(range(300, 330))).run(lambda: False) <= 30, "it ends"


@pytest.mark.parametrize("at", ["trim", "save", "restore", "resize", "finish_resize"])
def test_an_act_on_the_cache_that_was_cut_off_is_mended_before_the_next(
    at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted after the runner's part, twice in a row; `finish_resize` begins the mending."""
    runner = FakeRunner(slot_tokens=8)
    scheduler = Scheduler(runner, room(24, start=8))
    handlers = [start(scheduler, [*range(6), 100 * index], 6)[1] for index in range(1, 6)]
    act, left = getattr(runner, at), [2]
    handlers[0].rewind = Step([0], drop=4)

    def cut_off(*arguments: int) -> object:
        done = act(*arguments)
        if left[0]:
            left[0] -= 1
            raise KeyboardInterrupt
        return done

    monkeypatch.setattr(runner, at, cut_off)
    runner.fail_next = KeyboardInterrupt() if at == "finish_resize" else None
    while True:
        try:
            if not scheduler.step():
                break
        except KeyboardInterrupt:
            continue
    assert not left[0]
    assert [len(handler.taken) for handler in handlers] == [6] * 5
    for handler in handlers[1:]:
        assert handler.taken == list(range(handler.taken[0], handler.taken[0] + 6))


def test_a_handler_that_calls_the_scheduler_back_fails_loudly() -> None:
    scheduler = Scheduler(FakeRunner(), room())

    class Calling(ListHandler):
        def on_token(self, token: int, draw: int) -> Step:
            if not self.taken:
                self.taken.append(token)
                scheduler.remove(sequence)
            return super().on_token(token, draw)

    handler = Calling(3)
    sequence = Sequence([1], None, handler)
    scheduler.add(sequence)
    _, other = start(scheduler, [50], 3)
    with pytest.raises(UsageError, match="in the middle of a step"):
        scheduler.step()
    run(scheduler)
    assert handler.taken == [2, 2, 3], "and nothing is lost by it"
    assert other.taken == [51, 52, 53]


def test_closing_inside_a_step_closes_at_once() -> None:
    """As a signal handler may do it, which runs in the thread that steps."""
    runner = FakeRunner()
    scheduler = Scheduler(runner, room())

    class Closing(ListHandler):
        def on_token(self, token: int, draw: int) -> Step:
            scheduler.close()
            return super().on_token(token, draw)

    scheduler.add(Sequence([1], None, Closing(3)))
    scheduler.step()
    assert runner.closed


def test_who_is_removed_is_told() -> None:
    scheduler = Scheduler(FakeRunner(), room())
    sequence, handler = start(scheduler, [1], 9)
    scheduler.step()
    scheduler.remove(sequence)
    assert handler.removed == 1
