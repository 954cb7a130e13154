"""What a caller may ask for: how to generate and how to load. Every default is written here and nowhere else."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeAlias, TypedDict, get_args

from minireason.errors import BadSetting

MAX_TOKENS = 32_768
"""The longest reply by default, thinking included: what DeepSeek used for the published scores of the R1 distills."""

MAX_SEED = 2**32 - 2
"""llama.cpp takes the seed 2**32 - 1 to mean "draw one"."""


StopRule: TypeAlias = Literal["none", "lead", "beta"]


class ChainChanges(TypedDict, total=False):
    """The keyword arguments that `stream`, `ask` and `solve` have in common."""

    temperature: float
    top_p: float
    top_k: int
    seed: int | None
    max_tokens: int | None
    thinking: bool
    thinking_budget: int | None


class Changes(ChainChanges, total=False):
    """The keyword arguments of `stream` and `ask`: changes to `Settings`, field by field."""

    stop: tuple[str, ...]


class SolveChanges(ChainChanges, total=False):
    """The keyword arguments of `solve`: the fields of `VoteSettings`, and of `Settings` all but its `stop`."""

    samples: int
    parallel: int | Literal["auto"]
    stop: StopRule
    min_votes: int
    stop_threshold: float
    budget_tokens: int | None
    budget_s: float | None
    instruction: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How one reply is generated; temperature and top_p are those of the R1 model card.

    `temperature` 0 is greedy. `top_k` 0 keeps the whole vocabulary (slow: see `engine/sampler.py`). `seed` None draws
    one, and the reply tells which. `max_tokens` counts thinking and answer, None is 32,768 or what the context leaves.
    `thinking` False skips the thought. `thinking_budget` ends the thought after that many tokens. `stop` strings end
    the answer and are never looked for in the thinking. Raises BadSetting.
    """

    temperature: float = 0.6
    top_p: float = 0.95
    top_k: int = 256
    seed: int | None = None
    max_tokens: int | None = None
    thinking: bool = True
    thinking_budget: int | None = None
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _number("temperature", self.temperature, 0.0, 100.0)
        _number("top_p", self.top_p, 0.0, 1.0)
        if self.top_p == 0:
            raise BadSetting("top_p", self.top_p, "has to be above 0 and at most 1")
        _whole("top_k", self.top_k, 0)
        _whole("seed", self.seed, 0, MAX_SEED, optional=True)
        _whole("max_tokens", self.max_tokens, 1, optional=True)
        _whole("thinking_budget", self.thinking_budget, 0, optional=True)
        if not isinstance(self.thinking, bool):
            raise BadSetting("thinking", self.thinking, "has to be True or False")
        if isinstance(self.stop, str) or not all(isinstance(text, str) and text for text in self.stop):
            raise BadSetting("stop", self.stop, "has to be a list of strings that are not empty")
        object.__setattr__(self, "stop", tuple(self.stop))

    def changed(self, changes: Changes) -> Settings:
        """These settings with some fields changed; raises BadSetting for a name that does not exist."""
        _known(changes, [field.name for field in fields(Settings)])
        return replace(self, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteSettings:
    """How many chains think about a question, and when their vote is over.

    `samples` chains are planned and `parallel` run at a time ("auto": what memory holds and this machine gains from).
    `stop` "lead" ends the vote once its outcome is certain, "beta" also, from `min_votes` votes on, once the leader is the
    model's favourite with probability `stop_threshold`, "none" never. `budget_tokens` and `budget_s` end it whatever the
    votes; the tokens are those of all chains. `instruction` is added to the question; None adds what the model is meant
    to get. Raises BadSetting.
    """

    samples: int = 8
    parallel: int | Literal["auto"] = "auto"
    stop: StopRule = "beta"
    min_votes: int = 4
    stop_threshold: float = 0.95
    budget_tokens: int | None = None
    budget_s: float | None = None
    instruction: str | None = None

    def __post_init__(self) -> None:
        _whole("samples", self.samples, 1, 10_000)
        if self.parallel != "auto":
            _whole("parallel", self.parallel, 1, 256)
        if self.stop not in get_args(StopRule):
            raise BadSetting("stop", self.stop, f"has to be one of {', '.join(get_args(StopRule))}")
        _whole("min_votes", self.min_votes, 1)
        _number("stop_threshold", self.stop_threshold, 0.5, 1.0)
        _whole("budget_tokens", self.budget_tokens, 1, optional=True)
        if self.budget_s is not None:
            _number("budget_s", self.budget_s, 0.0, 1e9)
        if self.instruction is not None and not isinstance(self.instruction, str):
            raise BadSetting("instruction", self.instruction, "has to be text")

    @staticmethod
    def split(changes: SolveChanges) -> tuple[VoteSettings, Changes]:
        """The vote's settings, and the changes to each chain's; raises BadSetting for a name that does not exist."""
        own = {field.name for field in fields(VoteSettings)}
        _known(changes, [*own, *(field.name for field in fields(Settings))])
        vote: Any = {name: value for name, value in changes.items() if name in own}
        chain: Any = {name: value for name, value in changes.items() if name not in own}
        Settings().changed(chain)
        return VoteSettings(**vote), chain


class LoadChanges(TypedDict, total=False):
    """The keyword arguments of `load`: the fields of `LoadSettings`."""

    n_ctx: int | None
    n_threads: int | None
    n_gpu_layers: int | None
    n_seq_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSettings:
    """How a model is loaded; None leaves the choice to the plan.

    `n_ctx` is the most tokens of all sequences together (memory grows towards it as needed), `n_threads` the CPU
    threads, `n_gpu_layers` the layers on the GPU (-1: all), `n_seq_max` how many sequences may run at once.
    Raises BadSetting.
    """

    n_ctx: int | None = None
    n_threads: int | None = None
    n_gpu_layers: int | None = None
    n_seq_max: int = 16

    def __post_init__(self) -> None:
        _whole("n_ctx", self.n_ctx, 64, 2**24, optional=True)
        _whole("n_threads", self.n_threads, 1, 512, optional=True)
        _whole("n_gpu_layers", self.n_gpu_layers, -1, 100_000, optional=True)
        _whole("n_seq_max", self.n_seq_max, 1, 256)

    @classmethod
    def of(cls, changes: LoadChanges) -> LoadSettings:
        """The defaults with some fields changed; raises BadSetting for a name that does not exist."""
        _known(changes, [field.name for field in fields(cls)])
        return cls(**changes)


def _known(changes: Mapping[str, object], known: list[str]) -> None:
    for name, value in changes.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}" if near else f"known are {', '.join(known)}"
            raise BadSetting(name, value, f"there is no such setting; {hint}")


def _number(name: str, value: Any, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not low <= value <= high:
        raise BadSetting(name, value, f"has to be a number from {low:g} to {high:g}")


def _whole(name: str, value: Any, low: int, high: int | None = None, optional: bool = False) -> None:
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < low or (high is not None and value > high):
        span = f"from {low} to {high}" if high is not None else f"of at least {low}"
        raise BadSetting(name, value, f"has to be a whole number {span}")
