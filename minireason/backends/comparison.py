"""What is faster here: the questions, each measured with the answers to those before it.

Flash attention, threads, micro-batches and rearranged weights gain or lose between CPUs that say
the same of themselves. So each is tried on the loaded model, in short-lived contexts beside its own
(`engine.measure`), over as many layers as take some milliseconds.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import date

from minireason.backends.context import params_of
from minireason.engine.context_params import ContextParams
from minireason.engine.measure import Probe, decode_s, prefill_s
from minireason.engine.model import Model
from minireason.host import hardware
from minireason.models import cost
from minireason.models.plan import FitPlan
from minireason.models.shape import Shape
from minireason.models.tuned import StepCosts, Tuned

MOST_S = 2.0
"""What all questions together may take; the last is left out where it would take longer.

Where the others take longer, nothing is kept.
"""

GAIN = 1.05
"""Something is done otherwise than planned where it is so many times faster."""

STEADY = 1.3
"""The next best time of a measurement is at most so many times the best."""

_STEP_S, _DEPTH, _PREFILL, _LONG_PREFILL = 0.006, 1024, 64, 512
_SIZES = (1, 2, 4, 8, 16)
_SLOT_TOKENS = 256

_READ_TOKENS = 0.25
"""Tokens of prompts that are read for each token that is generated."""

_MEMORY_SHARE = 0.2
"""The part of the free memory that caches to measure with may take."""


class NotMeasured(Exception):
    """Nothing can be said now; the message says why, as half a sentence."""


class Comparison:
    """One run through the questions; `answer` asks them all."""

    def __init__(
        self,
        model: Model,
        shape: Shape,
        plan: FitPlan,
        stopped: Callable[[], bool],
        most_s: float = MOST_S,
    ) -> None:
        self._model, self._shape, self._plan, self._stopped = model, shape, plan, stopped
        self._most_s, self._ends = most_s, time.perf_counter() + most_s
        self._how = replace(params_of(plan), n_batch=_LONG_PREFILL)
        self._repack = plan.repack
        self._layers: int | None = None
        token_bytes = cost.kv_bytes_per_token(shape, plan.kv_type)
        self._tokens = int(_MEMORY_SHARE * hardware.free_bytes() / token_bytes)
        self._depth = min(_DEPTH, shape.context // 2, self._tokens // 4)

    def answer(self) -> Tuned:
        """What is faster; raises NotMeasured or EngineError."""
        if self._tokens < 4 * _SLOT_TOKENS:
            raise NotMeasured("there is too little free memory")
        self._choose_layers()
        self._choose_threads()
        with ExitStack() as stack:
            self._choose_repack(stack)
            attended_s = self._choose_flash_attention()
            step_s, costs = self._step_costs(attended_s)
            self._choose_ubatch()
        return Tuned(
            flash_attention=self._how.flash_attention,
            n_ubatch=self._how.n_ubatch,
            n_threads=self._how.n_threads,
            repack=self._repack,
            step_s=step_s * self._shape.layers / self._measured_layers,
            step_costs=costs,
            date=date.today().isoformat(),
        )

    @property
    def _measured_layers(self) -> int:
        return self._layers or self._shape.layers

    def _choose_layers(self) -> None:
        """As many as a step takes _STEP_S for; all, where that is less than twice as long."""
        with Probe(self._model, self._how, slot_tokens=_SLOT_TOKENS, layers=1) as probe:
            layer_s = min(self._once(functools.partial(decode_s, probe)) for _ in range(5))
        if layer_s * self._shape.layers > 2 * _STEP_S:
            self._layers = max(1, int(_STEP_S / layer_s))

    def _choose_threads(self) -> None:
        """Half the threads, where that is faster."""
        half = replace(self._how, n_threads=max(1, self._how.n_threads // 2))
        if half != self._how:
            ways = [self._how, half]
            self._how = ways[_faster(*self._decodes(self._model, ways))]

    def _choose_repack(self, stack: ExitStack) -> None:
        """The weights as they are in the file, where that is faster.

        llama.cpp brings the whole file into memory to map it. Where less is free than that, it
        would drive out what other programs have there, so nothing is compared.
        """
        if not self._repack or self._shape.weight_bytes > hardware.free_bytes():
            return
        plain = Model(self._model.path, n_gpu_layers=0, repack=False)
        stack.callback(plain.close)
        ours, theirs = (self._decodes(model, [self._how])[0] for model in (self._model, plain))
        if _faster(ours, theirs):
            self._model, self._repack = plain, False

    def _choose_flash_attention(self) -> float:
        """With or without, at a depth of `_depth`: the seconds of a step as it is then."""
        ways = [self._how]
        if self._plan.kv_type == "f16":  # others need it
            ways.append(replace(self._how, flash_attention=not self._how.flash_attention))
        steps = self._decodes(self._model, ways, self._depth)
        if len(ways) == 1:
            return steps[0]
        reads = self._reads(ways)
        whole = [step + _READ_TOKENS * read for step, read in zip(steps, reads, strict=True)]
        best = _faster(*whole)
        self._how = ways[best]
        return steps[best]

    def _step_costs(self, attended_s: float) -> tuple[float, StepCosts]:
        """Seconds of a step, and the batch cost curve; `attended_s` is a step at `_depth`."""
        sizes = [size for size in _SIZES if size == 1 or size * _SLOT_TOKENS <= self._tokens]
        with self._probes(self._model, [self._how], 0, n_slots=sizes[-1]) as (probe,):
            steps = [self._timed(functools.partial(decode_s, probe, size)) for size in sizes]
        deeper = max(0.0, attended_s / steps[0] - 1) * 1000 / self._depth
        costs = tuple(round(seconds / steps[0], 3) for seconds in steps)
        return steps[0], StepCosts(tuple(sizes), costs, round(deeper, 4))

    def _choose_ubatch(self) -> None:
        """A larger micro-batch, where it is faster and there is time left to find out."""
        larger = replace(self._how, n_ubatch=max(self._how.n_ubatch, _LONG_PREFILL))
        ways, layers = [self._how, larger], self._few_layers
        with self._probes(self._model, ways, _LONG_PREFILL, layers=layers) as probes:
            short = self._once(functools.partial(prefill_s, probes[0], _PREFILL))
            expected = 5 * short * _LONG_PREFILL / _PREFILL
            if time.perf_counter() + expected < self._ends:
                timers = [functools.partial(prefill_s, probe, _LONG_PREFILL) for probe in probes]
                self._how = ways[_faster(*self._in_turn(timers, 2))]

    @property
    def _few_layers(self) -> int:
        """For prompts, of which 64 tokens take as long as fifteen or twenty steps."""
        return max(1, self._measured_layers // 12)

    def _decodes(self, model: Model, ways: Sequence[ContextParams], depth: int = 0) -> list[float]:
        """Seconds of a step for one token, in each of these ways."""
        with self._probes(model, ways, depth) as probes:
            for probe in probes:
                probe.deepen(depth)
            return self._in_turn([functools.partial(decode_s, probe) for probe in probes], 3)

    def _reads(self, ways: Sequence[ContextParams]) -> list[float]:
        """Seconds to read a token at `_depth`, in each of these ways."""
        share = self._measured_layers / self._few_layers / _PREFILL
        with self._probes(self._model, ways, self._depth, layers=self._few_layers) as probes:
            for probe in probes:
                probe.deepen(self._depth)
            timers = [functools.partial(prefill_s, probe, _PREFILL) for probe in probes]
            return [seconds * share for seconds in self._in_turn(timers, 2)]

    @contextmanager
    def _probes(
        self,
        model: Model,
        ways: Sequence[ContextParams],
        depth: int,
        *,
        n_slots: int = 1,
        layers: int | None = None,
    ) -> Iterator[list[Probe]]:
        """A probe for each way, with room for `depth` tokens and some more."""
        with ExitStack() as stack:
            probes = []
            for way in ways:
                self._check_stopped()
                probe = Probe(
                    model,
                    way,
                    n_slots=n_slots,
                    slot_tokens=depth + _SLOT_TOKENS,
                    layers=layers or self._layers,
                )
                probes.append(stack.enter_context(probe))
            yield probes

    def _timed(self, timer: Callable[[], float]) -> float:
        return self._in_turn([timer], 3)[0]

    def _in_turn(self, timers: Sequence[Callable[[], float]], rounds: int) -> list[float]:
        """The best time of each after a first one; raises NotMeasured where they are unsteady."""
        for timer in timers:
            self._once(timer)
        times = [[self._once(timer) for timer in timers] for _ in range(rounds)]
        columns = [sorted(column) for column in zip(*times, strict=True)]
        if any(column[1] > STEADY * column[0] for column in columns):
            raise NotMeasured("equal steps took unequal times, so something else was running")
        return [column[0] for column in columns]

    def _once(self, timer: Callable[[], float]) -> float:
        self._check_stopped()
        return timer()

    def _check_stopped(self) -> None:
        if self._stopped():
            raise NotMeasured("it was interrupted")
        if time.perf_counter() > self._ends:
            raise NotMeasured(f"it took longer than {self._most_s:g} s")


def _faster(planned_s: float, other_s: float) -> int:
    """0 for what is planned, 1 for the other where it gains enough."""
    return int(other_s * GAIN < planned_s)
