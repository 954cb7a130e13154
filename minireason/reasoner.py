"""load() -> Reasoner: where the floors come together."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Unpack

from minireason.engine import llama, sampler, trial
from minireason.engine import sequence as engine
from minireason.engine.scheduler import Scheduler
from minireason.errors import DoesNotFit, EngineError, ModelFileError
from minireason.events import Message, Reply
from minireason.models import fit, gguf, hardware, store
from minireason.models.fit import FitPlan
from minireason.reasoning.budget import Budget
from minireason.reasoning.prompt import PromptEncoder
from minireason.reasoning.think import ThinkMachine
from minireason.settings import MAX_SEED, MAX_TOKENS, Changes, LoadChanges, LoadSettings, Settings, SolveChanges
from minireason.solution import Solution
from minireason.stream import Generation, Stream

if TYPE_CHECKING:
    from minireason.session import Session
    from minireason.solve import SolveStream


def load(model: str | Path, *, on_progress: Callable[[float], None] | None = None, **changes: Unpack[LoadChanges]) -> Reasoner:
    """Load a model by catalogue name, "name:QUANT" or path to a .gguf file.

    `on_progress` gets the share loaded, 0 to 1; the other keywords are the fields of `LoadSettings`. Raises
    BadSetting, UnknownModel, NotInstalled, ModelFileError, DoesNotFit or EngineError.
    """
    started = time.perf_counter()
    wish = LoadSettings.of(changes)
    file = store.find(str(model))
    header = gguf.check(file.path)
    plan = fit.plan(header, hardware.probe(), wish)
    if not file.trusted and not store.was_opened(file.path):
        trial.run(file.path)
        store.remember_opened(file.path)
    loaded = llama.Model(file.path, n_gpu_layers=plan.n_gpu_layers, on_progress=on_progress)
    try:
        return Reasoner(file.label, loaded, header.chat_template or "", plan, started)
    except BaseException:
        loaded.close()
        raise


class Reasoner:
    """A loaded model. Streams may be open side by side and read from any threads; they share batches.

    With one stream alone, the same seed, settings and cached prefix give the same text on one build. Streams side by
    side may change the last bits of each other's arithmetic, and with that, sooner or later, a sampled token.
    """

    def __init__(self, name: str, model: llama.Model, template: str, plan: FitPlan, started: float) -> None:
        self.name, self.plan = name, plan
        self._model = model
        bos = model.piece(model.bos).decode("utf-8", "replace") if model.bos is not None else ""
        eos = model.piece(min(model.eog)).decode("utf-8", "replace")
        self._encoder = PromptEncoder(model, template, bos, eos)
        self._context = llama.Context(
            model, n_ctx=plan.start_n_ctx, n_batch=plan.n_batch, n_seq_max=plan.n_seq_max, n_threads=plan.n_threads
        )
        self._scheduler = Scheduler(self._context, plan.n_ctx, plan.cache_tokens)
        self._closed = False
        self._load_s = time.perf_counter() - started

    @property
    def thinks(self) -> bool:
        """Whether this is a thinking model; others only answer."""
        return self._encoder.thinks

    def stream(
        self, question: str | Sequence[Message], *, on_prefill: Callable[[int, int], None] | None = None, **changes: Unpack[Changes]
    ) -> Stream:
        """Start a reply to a question or a list of messages; nothing runs until the stream is iterated.

        The keywords are the fields of `Settings`. `on_prefill` gets (tokens read, tokens in all) while a prompt is
        read. Raises BadSetting, UsageError or ContextFull.
        """
        settings = Settings().changed(changes)
        if self._closed:
            raise EngineError("This model is closed; load it again.")
        messages = [Message(role="user", content=question)] if isinstance(question, str) else list(question)
        prompt = self._encoder.encode(messages, thinking=settings.thinking and settings.thinking_budget != 0)
        seed = random.randrange(MAX_SEED) if settings.seed is None else settings.seed
        settings = replace(settings, seed=seed, max_tokens=settings.max_tokens or MAX_TOKENS)
        machine = ThinkMachine(prompt.start, self._encoder.tags)
        budget = Budget(settings.thinking_budget, self._encoder.closing() if settings.thinking_budget else [])
        generation = Generation(self.name, self._model, prompt, settings, machine, budget)
        generation.load_s = self._load_s
        chain = llama.SamplerChain(sampler.links(settings.temperature, settings.top_p, settings.top_k, seed))
        return Stream(self._scheduler, engine.Sequence(prompt.ids, chain, generation), generation, on_prefill)

    def ask(self, question: str | Sequence[Message], **changes: Unpack[Changes]) -> Reply:
        """The whole reply to a question or a list of messages; keywords and errors as for `stream`."""
        with self.stream(question, **changes) as stream:
            for _ in stream:
                pass
            return stream.reply

    def solve_stream(self, question: str | Sequence[Message], **changes: Unpack[SolveChanges]) -> SolveStream:
        """Start a vote of many chains over a question; nothing runs until the stream is iterated.

        The keywords are the fields of `VoteSettings` and, for each chain, of `Settings`. Raises BadSetting, UsageError
        or ContextFull.
        """
        from minireason.solve import SolveStream

        return SolveStream(self, question, changes)

    def solve(self, question: str | Sequence[Message], **changes: Unpack[SolveChanges]) -> Solution:
        """The answer that most chains come to; keywords and errors as for `solve_stream`."""
        with self.solve_stream(question, **changes) as stream:
            for _ in stream:
                pass
            return stream.solution

    def chat(self, *, system: str | None = None) -> Session:
        """Start a conversation with this model."""
        from minireason.session import Session

        return Session(self, system=system)

    def close(self) -> None:
        """Free the model's memory; open streams cannot go on."""
        with self._scheduler.lock:
            self._closed = True
            self._context.close()
            self._model.close()

    def __enter__(self) -> Reasoner:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def default_model() -> str | None:
    """The installed R1 distill with the most parameters that fits this machine, None if there is none."""
    machine = hardware.probe()
    for spec, file in store.installed():
        try:
            fit.plan(gguf.check(file.path), machine, LoadSettings())
        except (DoesNotFit, ModelFileError):
            continue
        return spec.name
    return None
