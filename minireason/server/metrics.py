"""What the server counts, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from minireason.events import Reply
from minireason.voting.solution import Solution
from minireason.wire.call import Outcome

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500)
"""Upper bounds of the buckets of times: a thought takes from a moment to minutes."""

Counts = dict[str, tuple[int, int, int]]
"""By model: requests that wait, places taken, and how many places there are."""


class Counters:
    """See `base.Metrics`. `places` and `loaded` are asked whenever somebody reads."""

    def __init__(self, places: Callable[[], Counts], loaded: Callable[[], list[str]]) -> None:
        self._registry = registry = CollectorRegistry()
        counter = partial(Counter, registry=registry)
        histogram = partial(Histogram, buckets=SECONDS, registry=registry)
        self._requests = counter(
            "minireason_requests", "Requests by route and status.", ["api", "status"]
        )
        self._seconds = histogram(
            "minireason_request_seconds",
            "From the head of a request to the end of its response.",
            ["api"],
        )
        self._first = histogram(
            "minireason_time_to_first_token_seconds",
            "From a request to the first text of its reply.",
            ["model"],
        )
        self._replies = counter(
            "minireason_replies", "Replies by how they ended.", ["model", "finish"]
        )
        self._ends = counter(
            "minireason_thinking_ends", "Thoughts by how they ended.", ["model", "end"]
        )
        self._tokens = counter(
            "minireason_tokens",
            "Tokens: of prompts (cached of them), thinking, answers, forced, and of votes.",
            ["model", "kind"],
        )
        self._hits = counter(
            "minireason_cache_hits", "Replies whose prompt was cached in part.", ["model"]
        )
        registry.register(_Now(places, loaded))

    def request(self, api: str, status: int, seconds: float) -> None:
        """See `base.Metrics.request`."""
        self._requests.labels(api, str(status)).inc()
        self._seconds.labels(api).observe(seconds)

    def first_token(self, model: str, seconds: float) -> None:
        """See `base.Metrics.first_token`."""
        self._first.labels(model).observe(seconds)

    def reply(self, model: str, outcome: Outcome) -> None:
        """See `base.Metrics.reply`."""
        for reply in outcome.replies:
            self._reply(model, reply)
        if outcome.solution:
            self._solution(model, outcome.solution)

    def _reply(self, model: str, reply: Reply) -> None:
        usage = reply.usage
        self._replies.labels(model, reply.finish_reason).inc()
        if reply.thinking_end:
            self._ends.labels(model, reply.thinking_end).inc()
        if usage.cached_tokens:
            self._hits.labels(model).inc()
        self._count(model, "prompt", usage.prompt_tokens)
        self._count(model, "cached", usage.cached_tokens)
        self._count(model, "thinking", usage.thinking_tokens)
        self._count(model, "answer", usage.answer_tokens)
        self._count(model, "forced", usage.forced_tokens)

    def _solution(self, model: str, solution: Solution) -> None:
        """The chains of a vote; their tokens are not told apart."""
        for chain in solution.chains:
            self._replies.labels(model, chain.finish).inc()
            if chain.thinking_end:
                self._ends.labels(model, chain.thinking_end).inc()
        self._count(model, "prompt", solution.tokens.prompt)
        self._count(model, "vote", solution.tokens.generated)

    def _count(self, model: str, kind: str, tokens: int) -> None:
        self._tokens.labels(model, kind).inc(tokens)

    def text(self) -> tuple[bytes, str]:
        """See `base.Metrics.text`."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST


class _Now(Collector):
    """What is so at the moment of asking."""

    def __init__(self, places: Callable[[], Counts], loaded: Callable[[], list[str]]) -> None:
        self._places, self._loaded = places, loaded

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges."""
        names = ("requests_waiting", "slots_in_use", "slots")
        about = ("Requests that wait for a slot.", "Slots in use.", "Slots there are.")
        for index, (name, text) in enumerate(zip(names, about, strict=True)):
            gauge = GaugeMetricFamily(f"minireason_{name}", text, labels=["model"])
            for model, counts in self._places().items():
                gauge.add_metric([model], counts[index])
            yield gauge
        loaded = GaugeMetricFamily("minireason_model_loaded", "Models in memory.", labels=["model"])
        for model in self._loaded():
            loaded.add_metric([model], 1)
        yield loaded
