"""How many threads the next step computes on: fewer while other programs keep cores busy.

The threads of a step wait for each other after every operation, some hundred times a step. So one
thread that has to share its core holds up all, and the others spin meanwhile: two threads on two
cores of which one is busy fall to a quarter of their speed, and one thread alone would have kept
its own. Nobody tells when other programs begin or end. But threads that spin are never idle, so
the processor time of a step says how much of it the cores were not to be had, and the time of a
step says whether another number of threads is better.

A window is a few steps together. Windows that lost processor time, or took longer than usual, make
a number of threads suspicious; then fewer are tried for a moment, and kept if steps are faster.
While there are fewer than could be, more are tried now and then, and kept if steps are faster.

In ggml every number is computed whole by one thread, so that a change of threads changes no bit,
but in one place: flash attention for one token of one sequence splits the cache between the threads
(from 512 cells on, with a cache of f16; `ggml_compute_forward_flash_attn_ext_f16` in ops.cpp).
"""

from __future__ import annotations

import time
from collections.abc import Callable

from minireason.engine.step_times import StepTimes, StepWindow
from minireason.host import load

WINDOW_S = 0.15
"""Steps are looked at together for so long."""

SUSPICIOUS_WINDOWS = 3
"""So many windows in a row lead to a trial. A trial in another process disturbs two at most."""

SUSPICIOUS_S = 0.8
"""Windows of so long together lead to one too, where a step takes longer than a window."""

LOST_THREADS = 0.25
"""Threads' worth of processor time that a window misses: half of what one thread loses that shares
its core with another program."""

SLOWDOWN = 1.3
"""A window that takes so many times as long as usual is suspicious."""

TRIAL_S = 0.05
EARLY_S = 0.02
"""A trial of more threads ends after this where it is clearly slower."""

FASTER_WITH_LESS, FASTER_WITH_MORE = 0.97, 0.95
"""The share of the time that steps must take to change the number of threads.

Both are below 1, so that equal numbers are never changed back and forth.
"""

FIRST_RISE_S, RISE_S = 0.3, 1.2
"""Seconds until more threads are tried, the first time and at most, but see `RISE_COST`."""

RISE_COST = 10
"""A trial of more threads that lost time is not repeated before so many times what it lost."""

IDLE_WINDOWS = 3
"""So many windows in a row have to see an idle core before more threads are tried."""

BLIND = 4
"""So many times `RISE_S` more threads wait for an idle core; then they are tried without one."""

PAUSE_S = 1.0
"""After so long without a step, the number of threads is chosen anew."""

FIRST_HOLD_S, HOLD_S = 2.0, 60.0
"""Seconds in which fewer threads are not tried again, after the first time in vain and at most."""


class ThreadGovernor:
    """The number of threads of each step, from 1 to `most`; `adapts=False` fixes it at `most`.

    Each step is between `begin` and `end`; one that failed or was interrupted has no `end`. Costs
    four microseconds a step. `wall` and `cpu` are the clocks: seconds, and processor seconds of
    this process.
    """

    def __init__(
        self,
        most: int,
        *,
        adapts: bool = True,
        wall: Callable[[], float] = time.perf_counter,
        cpu: Callable[[], float] = time.process_time,
        idle_cores: Callable[[], int | None] = load.idle_cores,
    ) -> None:
        self.most, self.threads = most, most
        self._adapts = adapts and most > 1
        self._wall, self._cpu, self._idle_cores = wall, cpu, idle_cores
        self._began, self._ended = (0.0, 0.0), float("-inf")
        self._trial = 0
        self._window = StepWindow()
        self._usual, self._latest = StepTimes(), StepTimes()
        self._suspicious_windows, self._suspicious_s = 0, 0.0
        self._rise_at, self._rise_s = 0.0, FIRST_RISE_S
        self._held_at, self._hold_s = float("-inf"), 0.0
        self._stride, self._idle_windows, self._short = 1, 0, False

    def begin(self) -> int:
        """The threads for the step that begins now."""
        if self._adapts:
            if self._wall() > self._ended + PAUSE_S:
                self._resume()
            self._began = self._wall(), self._cpu()
        return self._trial or self.threads

    def _resume(self) -> None:
        """Begin with as many threads as there are idle cores, if that is known.

        Where cores are much in demand, a single step on too many threads may take seconds.
        """
        idle = self._idle_cores()
        for _ in range(3):  # it may be a moment's work that keeps a core
            if idle is None or idle >= self.most - 1:
                break
            time.sleep(0.001)
            idle = max(idle, self._idle_cores() or 0)
        if idle is not None:
            self._trial = min(self.most, 1 + max(0, idle))
            self._change(self._wall())
            self._rise_at = self._wall()

    def end(self, tokens: int) -> None:
        """Look at the step that has ended, of a batch of so many tokens."""
        if not self._adapts:
            return
        now = self._ended = self._wall()
        wall_s, cpu_s = now - self._began[0], self._cpu() - self._began[1]
        if wall_s <= 0:
            return
        costs = self._latest if self._trial else self._usual
        self._window.add(tokens, wall_s, cpu_s, costs.expected(tokens, wall_s, now))
        if self._trial:
            self._judge(now)
        elif self._window.wall_s >= WINDOW_S:
            self._watch(now)

    def _watch(self, now: float) -> None:
        """Look at a window on the usual number of threads."""
        window, self._window = self._window, StepWindow()
        lost, slowdown = window.lost(self.threads), window.ratio or 1.0
        slow = slowdown >= SLOWDOWN
        held = now < self._held_at + self._hold_s and not (slow and now >= self._held_at + 1.0)
        suspicious = self.threads > 1 and not held and (slow or lost >= LOST_THREADS)
        self._latest.learn(window, now)
        if not suspicious:
            self._usual.learn(window, now, 0.3)
            self._suspicious_windows, self._suspicious_s = 0, 0.0
            more = self._more(lost, slowdown, now)
            self._short = lost >= LOST_THREADS
            if more > self.threads:
                self._try(more)
            return
        self._suspicious_windows += 1
        self._suspicious_s += window.wall_s
        long = self._suspicious_s >= SUSPICIOUS_S
        if long or self._suspicious_windows >= SUSPICIOUS_WINDOWS:
            self._try(self._fewer(lost))

    def _fewer(self, lost: float) -> int:
        """As many threads as have a core of their own: one that shares it misses half its time.

        Where all share theirs that is one. More are soon tried, and go up fast.
        """
        return max(1, self.threads - max(1, round(2 * lost)))

    def _more(self, lost: float, slowdown: float, now: float) -> int:
        """How many threads to try now: as many more as there are idle cores.

        Where that is not known: one more, twice as many after each success. An idle core is not
        waited for for ever, since it may be another machine's cores that are counted, as in a
        container.
        """
        if self.threads == self.most or (self.threads == 1 and lost >= LOST_THREADS):
            return self.threads
        if slowdown < 1 / SLOWDOWN or (self._short and lost < LOST_THREADS):
            self._rise_at = now
        if now < self._rise_at:
            return self.threads
        more = self._idle_cores()
        if more is None:
            return min(self.most, self.threads + self._stride)
        self._idle_windows = self._idle_windows + 1 if more > 0 else 0
        if self._idle_windows >= IDLE_WINDOWS:
            return min(self.most, self.threads + more)
        blind = now >= self._rise_at + BLIND * self._rise_s
        return self.threads + 1 if blind else self.threads

    def _try(self, threads: int) -> None:
        self._window = StepWindow()
        self._trial = threads

    def _judge(self, now: float) -> None:
        """Look at the trial that runs."""
        window, rises = self._window, self._trial > self.threads
        ratio = window.ratio
        clearly_slower = ratio is not None and ratio > SLOWDOWN and window.wall_s >= EARLY_S
        if not (rises and clearly_slower):
            if window.wall_s < TRIAL_S or (window.steps < 2 and window.wall_s < 2 * TRIAL_S):
                return
            if ratio is None and window.wall_s < 4 * TRIAL_S:
                return
        lost = window.lost(self._trial)
        if ratio is None:
            better = lost < LOST_THREADS
        elif rises:
            more = 1 - self.threads / self._trial
            better = ratio < max(FASTER_WITH_MORE, 1 - more / 2)
        else:
            better = ratio < FASTER_WITH_LESS
        if better:
            self._change(now)
        elif rises:
            self._stay_below(lost, now)
        else:
            self._stay_above(now)

    def _change(self, now: float) -> None:
        """Keep the number of threads that was tried; after more, still more are tried at once."""
        rises = self._trial > self.threads
        self.threads, self._trial = self._trial, 0
        window, self._window = self._window, StepWindow()
        self._usual, self._latest = StepTimes(), StepTimes()
        self._usual.learn(window, now)
        self._latest.learn(window, now)
        self._suspicious_windows, self._suspicious_s = 0, 0.0
        self._stride = 2 * self._stride if rises else 1
        self._rise_at, self._rise_s = now, FIRST_RISE_S
        if not rises:
            self._rise_at += FIRST_RISE_S
        self._hold_s, self._idle_windows, self._short = 0.0, 0, False

    def _stay_below(self, lost: float, now: float) -> None:
        """More threads were no better; between the two may be a number that has cores enough."""
        tried, window = self._trial, self._window
        self._trial, self._window = 0, StepWindow()
        between = tried - max(1, round(2 * lost))
        if self.threads < between:
            self._try(between)
            return
        self._stride, self._idle_windows = 1, 0
        wasted = max(0.0, window.compared_s - window.expected_s)
        self._rise_s = min(RISE_S, 2 * self._rise_s)
        self._rise_at = now + max(self._rise_s, RISE_COST * wasted)

    def _stay_above(self, now: float) -> None:
        """Fewer threads were no better, so that what is slow now is usual."""
        tried = self._trial
        self._trial, self._window = 0, StepWindow()
        between = (tried + self.threads + 1) // 2
        if tried < between < self.threads:
            self._try(between)
            return
        self._suspicious_windows, self._suspicious_s = 0, 0.0
        self._usual = StepTimes()
        self._hold_s = min(HOLD_S, max(FIRST_HOLD_S, 2 * self._hold_s))
        self._held_at = now
