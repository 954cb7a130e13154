"""A model that llama.cpp runs in this process: token ids and labelled text joined."""

from __future__ import annotations

import functools
import logging
import os
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from minireason.backends.assembly import Assembly
from minireason.backends.base import StreamOptions
from minireason.backends.context import cache_room, open_context
from minireason.backends.draft import DraftModel
from minireason.backends.planning import Planner, ReplyPlan
from minireason.backends.stream import Stream
from minireason.backends.tuning import Tuner
from minireason.engine.base import Drafter
from minireason.engine.model import Model
from minireason.engine.prefill import Prefill
from minireason.engine.scheduler import Scheduler
from minireason.errors import ContextFull
from minireason.messages import Message
from minireason.models import catalog
from minireason.models.plan import FitPlan
from minireason.models.tuned import StepCosts
from minireason.reasoning.prompt import PromptEncoder
from minireason.reasoning.structured.grammar import Constraint, constraint
from minireason.settings import Settings

_log = logging.getLogger(__name__)


class LocalBackend:
    """A `Backend` over a loaded model, by continuous batching: all open streams share its steps.

    Streams may be open side by side and read from any threads. `model`, `context`, `scheduler` and
    `encoder` are its parts; tests and measurements look at them, and nothing else needs to. `tuner`
    measures what is faster here, None for nothing.
    `started` is when loading began, by time.perf_counter.
    """

    def __init__(
        self,
        name: str,
        model: Model,
        template: str,
        plan: FitPlan,
        defaults: Settings,
        started: float,
    ) -> None:
        self.name, self.plan, self.defaults, self.model = name, plan, defaults, model
        self.tuner: Tuner | None = None
        self._was_asked = False
        vocabulary = model.vocabulary
        with ThreadPoolExecutor(1) as meanwhile:
            # It goes through the whole vocabulary, 45 ms for 152k tokens.
            meanwhile.submit(lambda: vocabulary.eog)
            self.context = open_context(model, plan)
        bos = b"" if vocabulary.bos is None else vocabulary.piece(vocabulary.bos)
        eos = vocabulary.piece(min(vocabulary.eog))
        self.encoder = PromptEncoder(
            vocabulary,
            template,
            bos.decode("utf-8", "replace"),
            eos.decode("utf-8", "replace"),
            thinks=catalog.thinks(name),
        )
        self.scheduler = Scheduler(self.context, cache_room(plan))
        self._planner = Planner(self.encoder, vocabulary.piece)
        self.new_drafter: Callable[[int], Drafter] | None = None
        """Makes what drafts for a sequence whose prompt has so many tokens; None: nothing does."""
        self.draft_model: DraftModel | None = None
        load_s = time.perf_counter() - started
        self._assembly = Assembly(name, model.vocabulary, self.scheduler, load_s)
        _log.info("%s is loaded, in %.2f s", name, load_s)
        _loaded.add(self)

    @property
    def thinks(self) -> bool:
        """See `Backend.thinks`."""
        return self.encoder.thinks

    @property
    def bare_questions(self) -> bool:
        """See `Backend.bare_questions`: what the catalogue says of the model."""
        return catalog.bare_questions(self.name)

    @property
    def n_ctx(self) -> int:
        """See `Backend.n_ctx`; less than planned once there was no memory for a larger cache."""
        return self.scheduler.n_ctx

    @property
    def max_parallel(self) -> int:
        """See `Backend.max_parallel`: the slots of the KV cache."""
        return self.plan.n_seq_max

    @property
    def reserved_bytes(self) -> int:
        """Memory of its plan that counts as free: what its KV cache has yet to grow by.

        Weights in pages of the file belong to it, for the system may take these for others, and
        every token would read them again. Of a model on a GPU nothing is known to be reserved.
        """
        plan, cache = self.plan, self.scheduler.cache
        if plan.n_gpu_layers:
            return 0
        planned = plan.cache_tokens + plan.spare_tokens
        grown = min(planned, cache.shape.tokens + cache.parked_tokens)
        return plan.mapped_bytes + (planned - grown) * (plan.kv_bytes // plan.n_ctx)

    @property
    def state(self) -> str:
        """Its threads, and whether it was closed, for a repr."""
        threads = f"{self.plan.n_threads} thread{'s' if self.plan.n_threads > 1 else ''}"
        return threads if self.model.is_open else f"{threads}, closed"

    def room_for(self, reply_tokens: int) -> int:
        """See `Backend.room_for`: what the KV cache holds of so many tokens."""
        chain_tokens = min(self.plan.n_ctx, reply_tokens)
        return max(1, min(self.max_parallel, self.plan.cache_tokens // chain_tokens))

    def check(self, settings: Settings, prompt_tokens: int = 0) -> None:
        """See `Backend.check`."""
        settings.check_context(self.plan.n_ctx)
        self.model.check_open()
        constraint(settings)
        # What is over the context was not counted to its end, see `count_tokens`.
        beyond = prompt_tokens > self.n_ctx
        whole = prompt_tokens
        if self.thinks and not beyond:
            # So near the end there is no room for a thought, and an empty one is written.
            whole += len(self.encoder.closing())
        if whole >= self.n_ctx:
            most = self.model.n_ctx_train
            raise ContextFull(whole, self.n_ctx, estimated=beyond, max_n_ctx=most)
        self._planner.check(settings, prompt_tokens, self.n_ctx)

    def stream(
        self, messages: Sequence[Message], settings: Settings, options: StreamOptions
    ) -> Stream:
        """See `Backend.stream`."""
        settings.check_context(self.plan.n_ctx)
        planned = functools.partial(self._planner.plan, messages, settings)
        return self._start(planned, constraint(settings), options)

    def complete(
        self,
        prompt: str,
        settings: Settings,
        options: StreamOptions,
        *,
        parse_special: bool = False,
    ) -> Stream:
        """See `CompletesText.complete`."""
        planned = functools.partial(
            self._planner.plan_raw, prompt, settings, parse_special=parse_special
        )
        return self._start(planned, constraint(settings), options)

    def _start(
        self,
        planned: Callable[[int], ReplyPlan],
        wanted: Constraint | None,
        options: StreamOptions,
    ) -> Stream:
        """The stream of what is planned in a context of so many tokens."""
        self.model.check_open()
        self._was_asked = True
        with self._knowing_maximum():
            return self._assembly.stream(planned(self.n_ctx), wanted, options, self.new_drafter)

    @contextmanager
    def _knowing_maximum(self) -> Iterator[None]:
        """Tell with ContextFull what the model can hold, which those who raise it do not know."""
        try:
            yield
        except ContextFull as error:
            raise ContextFull(
                error.prompt_tokens,
                error.n_ctx,
                estimated=error.estimated,
                max_n_ctx=self.model.n_ctx_train,
            ) from None

    def count_tokens(self, messages: Sequence[Message], *, at_most: int | None = None) -> int:
        """See `Backend.count_tokens`."""
        self.model.check_open()
        return self.encoder.count(messages, at_most)

    def prefill(
        self,
        messages: Sequence[Message],
        stopped: Callable[[], bool],
        *,
        cache_scope: str = "",
    ) -> int:
        """See `Backend.prefill`; reads in slices of some tokens."""
        self.model.check_open()
        tokens = self.encoder.prefix(messages)
        if not 0 < len(tokens) < self.n_ctx - 1:
            return 0
        return Prefill(self.scheduler, tokens, cache_scope).run(stopped)

    @property
    def step_costs(self) -> StepCosts | None:
        """See `KnowsStepCosts.step_costs`."""
        return self.plan.step_costs

    def measure(self, stopped: Callable[[], bool]) -> None:
        """See `MeasuresItself.measure`; once, and not before the first reply."""
        if self.tuner is None or not self.tuner.wanted or not self._was_asked:
            return
        before = self.scheduler.clock
        self.tuner.run(self.model, lambda: stopped() or self.scheduler.clock != before)

    def release(self) -> None:
        """See `Backend.release`."""
        self.scheduler.release()

    def close(self) -> None:
        """Free the model's memory, after what other threads run in it.

        In a process that was forked it does nothing, and everything else raises EngineError.
        """
        self.scheduler.close()
        if self.draft_model:
            self.draft_model.close()
        self.model.close()


_loaded: weakref.WeakSet[LocalBackend] = weakref.WeakSet()


def _in_child() -> None:
    """After a fork, let nobody wait for a lock of the parent's threads.

    What is loaded cannot be used here, and must be able to say so.
    """
    for backend in list(_loaded):
        backend.scheduler.forked()


if hasattr(os, "register_at_fork"):  # POSIX only; Windows has no fork
    os.register_at_fork(after_in_child=_in_child)
