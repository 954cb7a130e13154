"""How many replies to run at a time, measured on replies that are to run anyway."""

from __future__ import annotations

import pytest

from minireason import Settings
from minireason.backends import concurrency
from minireason.backends.base import StreamOptions
from minireason.backends.concurrency import BatchSize, Throughput, batch_size
from minireason.backends.scripted import ScriptedBackend, ScriptedReply
from minireason.backends.scripted_stream import ScriptedStream
from minireason.messages import as_messages
from minireason.models.tuned import StepCosts

STEP_S = 0.04


def backend() -> ScriptedBackend:
    return ScriptedBackend(ScriptedReply(answer=["a "] * 500), n_ctx=100_000)


def opened(backend: ScriptedBackend, count: int) -> list[ScriptedStream]:
    return [backend.stream(as_messages("Well?"), Settings(), StreamOptions()) for _ in range(count)]


def run(backend: ScriptedBackend, size: BatchSize, rates: dict[int, float], turns: int = 40) -> int:
    """Run turns of a model with so many tokens per second for each batch size; the size then."""
    streams: list[ScriptedStream] = []
    for _ in range(turns):
        streams += opened(backend, size.now - len(streams))
        for stream in streams:
            stream.poll()
        size.observe(streams, round(rates[size.now] * STEP_S), STEP_S)
    return size.now


@pytest.mark.parametrize(
    ("rates", "most", "chosen"),
    [
        ({1: 100, 2: 200, 4: 400, 8: 800, 16: 1600}, 16, 16),
        ({1: 100, 2: 200, 4: 400, 8: 800}, 8, 8),
        ({1: 100, 2: 200, 4: 400, 6: 600}, 6, 6),
        ({1: 1000, 2: 1000, 4: 1000}, 16, 1),
        ({1: 500, 2: 950, 4: 1000}, 16, 2),
        ({1: 100, 2: 200, 4: 400, 8: 425}, 16, 4),
    ],
)
def test_the_fewest_that_reach_most_of_the_best_throughput(
    rates: dict[int, float], most: int, chosen: int
) -> None:
    model = backend()
    assert run(model, batch_size(model, "auto", most), rates) == chosen
    assert dict(concurrency.throughput(model).rates) == pytest.approx(rates)
    again = batch_size(model, "auto", most)
    assert again.now == chosen, "what is known is not measured again"
    assert run(model, again, dict.fromkeys(range(17), 1.0)) == chosen


def test_a_larger_batch_goes_on_measuring_from_what_is_known() -> None:
    model = backend()
    rates = {1: 100.0, 2: 200.0, 4: 400.0, 8: 800.0}
    assert run(model, batch_size(model, "auto", 2), rates) == 2
    larger = batch_size(model, "auto", 8)
    assert larger.now == 4
    assert run(model, larger, rates) == 8


def test_what_takes_too_long_is_not_measured() -> None:
    model = backend()
    size = batch_size(model, "auto", 16)
    streams: list[ScriptedStream] = []
    for _ in range(20):
        streams += opened(model, size.now - len(streams))
        for stream in streams:
            stream.poll()
        size.observe(streams, len(streams), 0.3)
    assert size.now == 4
    assert concurrency.throughput(model).complete


def test_a_reply_that_ends_is_the_end_of_measuring() -> None:
    model = ScriptedBackend("Yes.")
    size = batch_size(model, "auto", 16)
    assert size.now == 1
    (stream,) = opened(model, 1)
    list(stream)
    size.observe([stream], 1, STEP_S)
    assert size.now == concurrency.UNMEASURED
    assert concurrency.throughput(model) == Throughput(), "it says nothing about a full batch"


def test_what_is_requested_or_cannot_be_measured_is_fixed() -> None:
    model = backend()
    assert batch_size(model, 5, 16).now == 5
    assert batch_size(model, 5, 3).now == 3
    assert batch_size(model, "auto", 16, measure=False).now == concurrency.UNMEASURED
    assert batch_size(model, "auto", 2, measure=False).now == 2


def test_as_many_fit_as_the_backend_has_room_for() -> None:
    class Small(ScriptedBackend):
        def room_for(self, reply_tokens: int) -> int:
            return max(1, 20_000 // reply_tokens)

    assert concurrency.fitting(Small("Yes."), 100, 900) == 20
    assert concurrency.fitting(Small("Yes."), 100, None) == 2
    assert concurrency.fitting(Small("Yes."), 50_000, None) == 1


@pytest.mark.parametrize(
    ("depth", "most", "chosen"), [(0, 16, 16), (0, 8, 8), (2_000, 16, 8), (40_000, 16, 1)]
)
def test_step_costs_say_what_is_worth_it_and_less_where_replies_are_long(
    depth: int, most: int, chosen: int
) -> None:
    class Knowing(ScriptedBackend):
        step_costs = StepCosts((1, 2, 4, 8, 16), (1.0, 1.1, 1.6, 2.8, 4.8), 0.2)

    model = Knowing(ScriptedReply(answer=["a "]), n_ctx=100_000)
    size = batch_size(model, "auto", most, depth=depth)
    assert size.now == chosen
    size.observe([], 10, 1.0)
    assert size.now == chosen


def test_the_mean_depth_of_a_reply() -> None:
    usual = concurrency.USUAL_REPLY_TOKENS
    assert concurrency.mean_depth(100, None) == 100 + usual // 2
    assert concurrency.mean_depth(100, 10 * usual) == 100 + usual // 2
    assert concurrency.mean_depth(100, 200) == 200
