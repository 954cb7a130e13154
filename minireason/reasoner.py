"""load() -> Reasoner: where the floors come together."""

from __future__ import annotations

import functools
import logging
import os
import random
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Unpack

from minireason.answers import BOX
from minireason.backends.stream import Stream
from minireason.checks import checked, function
from minireason.engine import devices, sampler, trial
from minireason.engine import sequence as engine
from minireason.engine.context import Context
from minireason.engine.model import Model
from minireason.engine.prefill import Prefill
from minireason.engine.scheduler import Scheduler
from minireason.errors import (
    BadSetting,
    DoesNotFit,
    ModelFileError,
    UsageError,
    shown,
)
from minireason.events import Reply
from minireason.host import hardware, paths
from minireason.host.hardware import Gpu, Hardware
from minireason.messages import Message, as_messages
from minireason.models import catalog, choose, fit, gguf, opened, shape, store
from minireason.models.fit import FitPlan
from minireason.reasoning import tags
from minireason.reasoning.budget import Budget, Limits
from minireason.reasoning.controller import Controller
from minireason.reasoning.landing import Landing
from minireason.reasoning.loops import LoopDetector
from minireason.reasoning.prompt import Prompt, PromptEncoder
from minireason.reasoning.reply import ReplyBuilder
from minireason.reasoning.structured.follower import Follower, Tokenizer
from minireason.reasoning.structured.grammar import constraint
from minireason.reasoning.think import State
from minireason.settings import (
    MAX_SEED,
    MAX_TOKENS,
    Changes,
    LoadChanges,
    LoadSettings,
    Settings,
    SolveChanges,
    kept,
)
from minireason.voting.solution import Solution

if TYPE_CHECKING:
    from minireason.conversation.session import Session
    from minireason.voting.solve import SolveStream

_log = logging.getLogger(__name__)


def load(
    model: str | Path,
    *,
    defaults: Changes | None = None,
    on_progress: Callable[[float], None] | None = None,
    **changes: Unpack[LoadChanges],
) -> Reasoner:
    """Load a model by catalogue name, "name:QUANT" or path to a .gguf file.

    `defaults` are settings for every reply, such as {"temperature": 0.3}; they go before the
    model's own of the catalogue, and what a chat or a call says goes before them. `on_progress`
    gets the share loaded, 0 to 1; the other keywords are the fields of `LoadSettings`. What is
    decided is said by the logger `minireason`. Raises BadSetting, UsageError, UnknownModel,
    NotInstalled, ModelFileError, DoesNotFit or EngineError.
    """
    started = time.perf_counter()
    wish = LoadSettings.of(changes)
    if not isinstance(model, str | os.PathLike):
        raise UsageError(f"A model is a name or the path of a .gguf file, and not {shown(model)}.")
    if on_progress is not None:
        checked("on_progress", on_progress, function)
    own = kept(defaults or {})
    file = store.find(os.fspath(model))
    settings = catalog.defaults(file.label).changed(own)
    header = gguf.check(file.path)
    if problem := tags.problem(header.chat_template or ""):
        raise ModelFileError(file.path, problem)
    found = machine()
    try:
        plan = fit.plan(file.label, shape.of(header), found, wish)
    except DoesNotFit as error:
        if wish.n_ctx is not None:
            raise
        raise choose.instead(error, header.tensor_bytes, machine(measured=True)) from None
    _log_plan(file, plan)
    if file.trusted:
        _log.info("no trial run: the file came with minireason")
    else:
        open_once(file.path, repack=plan.repack)
    loaded = Model(
        file.path, n_gpu_layers=plan.n_gpu_layers, repack=plan.repack, on_progress=on_progress
    )
    try:
        return Reasoner(file.label, loaded, header.chat_template or "", plan, started, settings)
    except BaseException:
        loaded.close()
        raise


def _log_plan(file: store.ModelFile, plan: FitPlan) -> None:
    _log.info("model %s, file %s", file.label, file.path)
    _log.info(
        "plan: context %d tokens (the cache starts with %d and may hold %d), KV cache %s, "
        "%d threads, flash attention %s, repack %s, %d layers on the GPU, %.2f GiB in all",
        plan.n_ctx,
        plan.start_n_ctx,
        plan.cache_tokens,
        plan.kv_type,
        plan.n_threads,
        "on" if plan.flash_attention else "off",
        "on" if plan.repack else "off",
        plan.n_gpu_layers,
        plan.needed_bytes / 2**30,
    )


def open_once(path: Path, *, repack: bool | None = None) -> None:
    """Use a file that was never used before in a process of its own, where it can do no harm.

    `repack`: as it will be loaded, None: as it will be if nobody wishes otherwise. Raises ModelFileError, or EngineError if
    it could not be tried.
    """
    header = gguf.check(path)
    if repack is None:
        try:
            repack = fit.plan(path.name, shape.of(header), machine(), LoadSettings()).repack
        except DoesNotFit:
            repack = False
    identity = opened.identity(path)  # of what is tried, should it be replaced meanwhile
    if opened.knows(identity, repack=repack):
        _log.info("no trial run: the file was used before")
        return
    _log.info("trial run: the file is used in a process of its own first")
    trial.run(
        path,
        repack=repack,
        weight_bytes=header.tensor_bytes,
        template=header.chat_template or "",
    )
    opened.remember(identity, repack=repack)


class Reasoner:
    """A loaded model. Streams may be open side by side and read from any threads; they share batches.

    `defaults` are the settings of a reply where a call says nothing.

    With one stream alone, the same seed, settings and cached prefix give the same text on one build. Streams side by
    side may change the last bits of each other's arithmetic, and with that, sooner or later, a sampled token.
    """

    def __init__(
        self,
        name: str,
        model: Model,
        template: str,
        plan: FitPlan,
        started: float,
        defaults: Settings,
    ) -> None:
        self.name, self.plan, self.defaults = name, plan, defaults
        self._model = model
        with ThreadPoolExecutor(1) as meanwhile:
            meanwhile.submit(
                lambda: model.vocabulary.eog
            )  # goes through the whole vocabulary, 45 ms for 152k tokens
            self._context = Context(
                model,
                n_ctx=plan.start_n_ctx,
                n_batch=plan.n_batch,
                n_seq_max=plan.n_seq_max,
                n_threads=plan.n_threads,
                kv_type=plan.kv_type,
                flash_attention=plan.flash_attention,
            )
        bos = (
            model.vocabulary.piece(model.vocabulary.bos).decode("utf-8", "replace")
            if model.vocabulary.bos is not None
            else ""
        )
        eos = model.vocabulary.piece(min(model.vocabulary.eog)).decode("utf-8", "replace")
        self._encoder = PromptEncoder(
            model.vocabulary, template, bos, eos, thinks=catalog.thinks(name)
        )
        self._scheduler = Scheduler(self._context, plan.n_ctx, plan.cache_tokens)
        self._load_s = time.perf_counter() - started
        _log.info("%s is loaded, in %.2f s", name, self._load_s)
        _loaded.add(self)

    def __repr__(self) -> str:
        kind = "thinks" if self.thinks else "does not think"
        threads = f"{self.plan.n_threads} thread{'s' if self.plan.n_threads > 1 else ''}"
        state = "" if self._model.is_open else ", closed"
        context = f"{self.plan.n_ctx:,} tokens of context"
        return f"<Reasoner {self.name}: {kind}, {context}, {threads}{state}>"

    @property
    def thinks(self) -> bool:
        """Whether this is a thinking model; others only answer."""
        return self._encoder.thinks

    def stream(
        self,
        question: str | Sequence[Message],
        *,
        on_prefill: Callable[[int, int], None] | None = None,
        **changes: Unpack[Changes],
    ) -> Stream:
        """Start a reply to a question or a list of messages; nothing runs until the stream is iterated.

        The keywords are the fields of `Settings`, those that are not given come from `defaults`.
        `on_prefill` gets (tokens read, tokens in all) while a prompt is read. Raises BadSetting,
        UsageError or ContextFull.
        """
        settings = self.defaults.changed(changes)
        if on_prefill is not None:
            checked("on_prefill", on_prefill, function)
        settings.check_context(self.plan.n_ctx)
        self._check_open()
        messages = as_messages(question)
        wanted = constraint(settings)
        prompt, settings, budget = self._plan(messages, settings)
        follower = Follower(wanted, self._tokenizer) if wanted else None
        parse = follower.parsed if follower else None
        builder = ReplyBuilder(self.name, prompt, settings, load_s=self._load_s, parse=parse)
        controller = Controller(
            self._model.vocabulary, prompt, settings, budget, builder, follower=follower
        )
        links = sampler.links(
            settings.temperature, settings.top_p, settings.top_k, settings.seed or 0
        )
        # What comes next has the answer right after the prompt, without the thought.
        sequence = engine.Sequence(
            prompt.ids,
            sampler.SamplerChain(links),
            controller,
            cache_reply=not self.thinks,
            mask=controller.mask(),
        )
        return Stream(self._scheduler, sequence, controller, on_prefill)

    @functools.cached_property
    def _tokenizer(self) -> Tokenizer:
        return Tokenizer(self._model.vocabulary)

    def _plan(self, messages: list[Message], settings: Settings) -> tuple[Prompt, Settings, Budget]:
        """The prompt, the settings without anything left open, and how long the thought may be."""
        asked = settings.thinking_tokens
        prompt = self._encoder.encode(
            messages, thinking=asked != 0, opened=settings.structured, n_ctx=self._scheduler.n_ctx
        )
        room = max(0, self._scheduler.n_ctx - len(prompt.ids))
        landing = Landing(
            self._encoder.text,
            self._encoder.closing(after_line=True),
            settings.landing,
            opening=self._encoder.opening(),
            box=BOX in messages[-1]["content"],
        )
        max_tokens = settings.max_tokens or max(MAX_TOKENS, 2 * (asked or 0))
        if prompt.start is not State.ANSWER and settings.thinking_budget is not None:
            self._refuse_above(landing.without_message().within(room)[1], settings.thinking_budget)
        landing, longest = landing.within(min(room, max_tokens), asked)
        if longest < 1 and prompt.start is not State.ANSWER:  # no room for any thought
            prompt = self._encoder.encode(messages, thinking=False)
        limits = Limits(
            longest if asked is None else min(asked, longest),
            settings.thinking_seconds,
            settings.min_thinking,
        )
        seed = random.randrange(MAX_SEED) if settings.seed is None else settings.seed
        loops = LoopDetector(self._model.vocabulary.piece) if settings.loop_check else None
        return (
            prompt,
            replace(settings, seed=seed, max_tokens=max_tokens),
            Budget(limits, landing, self._model.vocabulary.piece, loops),
        )

    def _refuse_above(self, most: int, thinking_budget: int) -> None:
        if thinking_budget > most:
            leaves = f"beside the prompt and an answer the context of {self._scheduler.n_ctx} tokens leaves {max(0, most)} for thinking"
            raise BadSetting(
                "thinking_budget",
                thinking_budget,
                f"{leaves}; ask for less, or load with a larger n_ctx",
            )

    def ask(self, question: str | Sequence[Message], **changes: Unpack[Changes]) -> Reply:
        """The whole reply to a question or a list of messages; keywords and errors as for `stream`."""
        with self.stream(question, **changes) as stream:
            for _ in stream:
                pass
            return stream.reply

    def solve_stream(
        self, question: str | Sequence[Message], **changes: Unpack[SolveChanges]
    ) -> SolveStream:
        """Start a vote of many chains over a question; nothing runs until the stream is iterated.

        The keywords are the fields of `VoteSettings` and, for each chain, of `Settings`. Raises BadSetting, UsageError
        or ContextFull.
        """
        from minireason.voting.solve import SolveStream

        return SolveStream(self, question, changes)

    def solve(self, question: str | Sequence[Message], **changes: Unpack[SolveChanges]) -> Solution:
        """The answer that most chains come to; keywords and errors as for `solve_stream`."""
        with self.solve_stream(question, **changes) as stream:
            for _ in stream:
                pass
            return stream.solution

    @property
    def n_ctx(self) -> int:
        """The most tokens that a prompt and its reply may have together."""
        return self._scheduler.n_ctx

    def count_tokens(self, question: str | Sequence[Message], *, at_most: int | None = None) -> int:
        """How many tokens a prompt has; raises UsageError as `stream` does.

        Where it has far more than `at_most`, an estimate above that: a prompt too long for any use is not counted to its end.
        """
        self._check_open()
        return self._encoder.count(as_messages(question), at_most)

    def prefill(
        self, messages: Sequence[Message], stopped: Callable[[], bool] = lambda: False
    ) -> int:
        """Read what any next question after these messages will be preceded by, so that it need not be read when it comes.

        Waits until it is done, in slices of some tokens, and steps aside while a stream is read. The number of tokens read.
        """
        self._check_open()
        checked("stopped", stopped, function)
        tokens = self._encoder.prefix(as_messages(messages))
        return (
            Prefill(self._scheduler, tokens).run(stopped)
            if 0 < len(tokens) < self._scheduler.n_ctx - 1
            else 0
        )

    def chat(
        self, *, system: str | None = None, read_ahead: bool = False, **changes: Unpack[Changes]
    ) -> Session:
        """Start a conversation with this model; for `read_ahead` see `Session`.

        The other keywords are the settings of all its turns; what a turn says goes before them.
        Raises BadSetting.
        """
        from minireason.conversation.session import Session

        return Session(self, system=system, read_ahead=read_ahead, **changes)

    def _check_open(self) -> None:
        self._model.check_open()

    def close(self) -> None:
        """Free the model's memory, after what other threads run in it; open streams cannot go on.

        In a process that was forked it does nothing, and everything else raises EngineError.
        """
        self._scheduler.close()
        self._model.close()

    def _forked(self) -> None:
        self._scheduler.forked()

    def __enter__(self) -> Reasoner:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


_loaded: weakref.WeakSet[Reasoner] = weakref.WeakSet()


def _in_child() -> None:
    """After a fork: what is loaded cannot be used here, and must say so, so nobody may wait for a
    lock of the parent's threads."""
    for reasoner in list(_loaded):
        reasoner._forked()


if hasattr(os, "register_at_fork"):  # POSIX only; Windows has no fork
    os.register_at_fork(after_in_child=_in_child)


def machine(*, measured: bool = False) -> Hardware:
    """This machine and the GPUs that the installed llama.cpp can use.

    `measured`: with the bandwidth of its memory, which takes half a second the first time.
    """
    found = replace(hardware.probe(_gpus), built_for=devices.built_for())
    if not measured:
        return found
    return replace(
        found, bandwidth_bytes_per_s=hardware.bandwidth(paths.data_dir() / "machine.json")
    )


def _gpus() -> list[Gpu]:
    """An integrated GPU and those of Apple's chips use the machine's own memory."""
    return [
        Gpu(
            device.name,
            device.description,
            device.free_bytes,
            device.total_bytes,
            device.kind == "igpu" or device.name.startswith("MTL"),
        )
        for device in devices.devices()
        if device.kind in ("gpu", "igpu")
    ]


def engine_info() -> str:
    """What llama.cpp says of its build and this CPU."""
    return devices.system_info().strip(" |")


def default_model() -> str | None:
    """The installed model to take if none is named (`choose.installed`); None if there is none."""
    return choose.installed(machine())
