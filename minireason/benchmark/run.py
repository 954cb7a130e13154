"""Run the measurements on a loaded model, as many as the time allows."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from minireason.backends.base import StreamOptions
from minireason.backends.local import LocalBackend
from minireason.benchmark import estimate
from minireason.benchmark.report import (
    Chains,
    Decode,
    FirstReply,
    Memory,
    Prefill,
    Report,
    Thought,
)
from minireason.benchmark.steps import (
    CHAINS_CONTEXT,
    CHAINS_LIMIT,
    DECODE_LIMIT,
    Context,
    SideBySide,
    in_order,
)
from minireason.benchmark.track import Limit, Times, Track
from minireason.errors import EngineError
from minireason.events import AnswerDelta
from minireason.host import system
from minireason.host.load import OtherLoad
from minireason.messages import Message
from minireason.models import cost
from minireason.models.shape import Shape

ALLOWED_S = 300.0
"""Seconds after which nothing new is begun, where nobody says otherwise."""

THOUGHT_TOKENS = 2000
"""Tokens of the thought whose length in seconds is worked out."""

_QUESTION = "What is 347 + 586?"
_BUDGET_TOKENS = 64
_READING_SLOWS = 1.25
"""Later tokens of a prompt attend to more before them."""


class Run:
    """The measurements of one model, in order; `report` holds those that are made.

    `allowed_s`: what would end later is left out. `on_step` is called after every step of the
    model, and may look at `doing`, `spent_s` and `left_s`.
    """

    def __init__(
        self,
        backend: LocalBackend,
        shape: Shape,
        report: Report,
        allowed_s: float = ALLOWED_S,
        on_step: Callable[[Run], None] = lambda _run: None,
    ) -> None:
        self.report, self.doing = report, "the first reply"
        self._backend, self._shape, self._allowed_s = backend, shape, allowed_s
        self._on_step = functools.partial(on_step, self)
        self._track = Track(backend, self._on_step)
        self._others = OtherLoad()
        self._began = self._step_began = time.perf_counter()
        self._read_s: dict[int, float] = {0: 0.0}
        chain_tokens = min(backend.n_ctx, CHAINS_CONTEXT + CHAINS_LIMIT.tokens + 1)
        self._steps = in_order(backend.n_ctx, backend.room_for(chain_tokens))

    @property
    def spent_s(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._began

    @property
    def left_s(self) -> float | None:
        """Seconds until the end, about; None while nothing is known."""
        if not self.report.decode:
            return None
        left, read = self._step_began - time.perf_counter(), max(self._read_s)
        for step in self._steps:
            left += self._costs_s(step, read)
            read = max(read, step.tokens)
        return max(0.0, left)

    def run(self) -> Report:
        """Measure all of it; the report. Raises EngineError if the model does not go on at all."""
        self._keep(replace(self.report, reply=self._first_reply()))
        while self._steps:
            step = self._steps[0]
            self.doing, self._step_began = step.title, time.perf_counter()
            self._on_step()
            if self._affordable(step):
                self._try(step)
            self._steps.pop(0)
        return self.report

    def _affordable(self, step: Context | SideBySide) -> bool:
        """Whether there is time for a step; if not, that is noted."""
        costs_s = self._costs_s(step, max(self._read_s))
        if self.spent_s + costs_s <= self._allowed_s:
            return True
        self._leave_out(step, f"it would take about {_in_words(costs_s)} more.")
        return False

    def _try(self, step: Context | SideBySide) -> None:
        """Measure a step; what keeps one from going on costs none of the others."""
        try:
            self._measure(step)
        except EngineError as error:
            if not self.report.decode:
                raise
            self._leave_out(step, str(error))

    def _leave_out(self, step: Context | SideBySide, why: str) -> None:
        sentence = f"{step.title}: {why}"
        self._keep(replace(self.report, left_out=(*self.report.left_out, sentence)))

    def _costs_s(self, step: Context | SideBySide, read: int) -> float:
        """About how long a step takes: what has to be read beyond `read` tokens, then itself."""
        missing = max(0, step.tokens - read)
        reading = _READING_SLOWS * missing / self._reading_tokens_per_s()
        if isinstance(step, SideBySide):
            return reading + self._within(CHAINS_LIMIT).seconds
        if not step.decode:
            return reading
        limit, rows = self._within(DECODE_LIMIT), self.report.decode
        if not rows:
            return reading + limit.seconds
        return reading + min(limit.seconds, limit.tokens / rows[-1].tokens_per_s)

    def _reading_tokens_per_s(self) -> float:
        """How fast prompts are read, by the longest so far; at first by that of the reply."""
        longest = max(self._read_s)
        if longest:
            return longest / self._read_s[longest]
        reply = self.report.reply
        if reply is None or not reply.first_token_s:
            return 1.0
        return reply.prompt_tokens / reply.first_token_s

    def _measure(self, step: Context | SideBySide) -> None:
        if isinstance(step, SideBySide):
            times = self._track.run(step.chains, step.tokens, self._within(CHAINS_LIMIT))
            self._note_chains(step.chains, step.tokens, times)
            return
        limit = self._within(DECODE_LIMIT) if step.decode else Limit(1, 0.0)
        times = self._track.run(1, step.tokens, limit)
        self._note_read(step, times)
        if step.decode:
            self._note_decode(step.tokens, times)

    def _within(self, limit: Limit) -> Limit:
        """The limit, with fewer seconds where few are allowed for everything."""
        return replace(limit, seconds=min(limit.seconds, self._allowed_s / 20))

    def _note_read(self, step: Context, times: Times) -> None:
        """Add what was read now to what is cached of it: together that is the whole prompt."""
        known = max((tokens for tokens in self._read_s if tokens <= times.cached_tokens), default=0)
        whole_s = self._read_s[known] + times.read_s
        if not step.tokens:
            return
        self._read_s[step.tokens] = whole_s
        if step.prefill:
            row = Prefill(step.tokens, whole_s, step.tokens / whole_s)
            self._keep(replace(self.report, prefill=(*self.report.prefill, row)))

    def _note_decode(self, context_tokens: int, times: Times) -> None:
        tokens_per_s = times.tokens / times.seconds
        weights, read = cost.read_bytes(self._shape), None
        if weights is not None:
            per_token = cost.kv_bytes_per_token(self._shape, self._backend.plan.kv_type)
            read = tokens_per_s * (weights + per_token * (context_tokens + times.tokens / 2))
        row = Decode(context_tokens, times.tokens, times.seconds, tokens_per_s, read)
        rows = (*self.report.decode, row)
        tokens = min(THOUGHT_TOKENS, self._backend.n_ctx // 2)
        thought = Thought(tokens, estimate.thought_s(rows, tokens))
        self._keep(replace(self.report, decode=rows, thought=thought))
        if context_tokens == self._chains_context:
            self._note_chains(1, context_tokens, times)

    @property
    def _chains_context(self) -> int | None:
        """The context of the chains that are still to come."""
        return next((step.tokens for step in self._steps if isinstance(step, SideBySide)), None)

    def _note_chains(self, chains: int, context_tokens: int, times: Times) -> None:
        tokens_per_s = times.tokens / times.seconds
        row = Chains(chains, context_tokens, times.tokens, times.seconds, tokens_per_s)
        self._keep(replace(self.report, chains=(*self.report.chains, row)))

    def _keep(self, report: Report) -> None:
        """Let this be the report, with the memory, the time and the other load so far."""
        plan, weights, peak = self._backend.plan, self._shape.weight_bytes, system.peak_bytes()
        alone = peak
        if self.report.memory and any(row.chains > 1 for row in report.chains):
            alone = self.report.memory.peak_alone_bytes
        memory = Memory(alone, peak, plan.needed_bytes, plan.n_ctx, weights)
        self.report = replace(
            report, memory=memory, seconds=self.spent_s, other_cpus=self._others.cpus()
        )

    def _first_reply(self) -> FirstReply:
        """Ask a short question, until the answer begins."""
        backend = self._backend
        budget = min(_BUDGET_TOKENS, backend.n_ctx // 4)
        settings = backend.defaults.changed(
            {"thinking_budget": budget, "loop_check": False, "seed": 1}
        )
        question: Sequence[Message] = [Message(role="user", content=_QUESTION)]
        with backend.stream(question, settings, StreamOptions()) as stream:
            for event in stream:
                self._on_step()
                if isinstance(event, AnswerDelta):
                    break
        reply = stream.reply
        return FirstReply(
            prompt_tokens=reply.usage.prompt_tokens,
            first_token_s=reply.timings.first_token_s,
            thinking_tokens=reply.usage.thinking_tokens,
            first_answer_s=reply.timings.first_answer_s,
        )


def _in_words(seconds: float) -> str:
    return f"{seconds:,.0f} s" if seconds >= 1 else "a second"
