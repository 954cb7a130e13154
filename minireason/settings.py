"""What a caller may ask for: how to generate and how to load. Every default is written here and nowhere else."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeAlias, TypedDict, get_args, get_origin

from minireason.errors import BadSetting

MAX_TOKENS = 32_768
"""The longest reply by default, thinking included: what DeepSeek used for the published scores of the R1 distills."""

LAST_GROWTH = 4
"""The KV cache doubles up to this part of the limit, and from there grows to the limit at once.

While it grows, what is in the cache lies in memory a second time: so that is a quarter of the full cache, not all of it.
"""

Effort: TypeAlias = Literal["none", "low", "medium", "high"]

EFFORT_TOKENS: dict[str, int] = {"none": 0, "low": 1_024, "medium": 4_096, "high": 12_288}
"""Effort in tokens of thinking; at most what context and `max_tokens` leave."""

LANDING = "I have to answer now, so I decide by what I have."
"""What is put at the end of a thought that is cut off: one short sentence."""

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
    effort: Effort | None
    thinking_budget: int | None
    thinking_seconds: float | None
    min_thinking: int
    loop_check: bool
    landing: str
    schema: Mapping[str, Any] | type[Any] | None
    choices: Sequence[str] | None
    regex: str | None


class Changes(ChainChanges, total=False):
    """The keyword arguments of `stream` and `ask`: changes to `Settings`, field by field."""

    stop: tuple[str, ...]


class VoteChanges(TypedDict, total=False):
    """Changes to `VoteSettings`, field by field."""

    samples: int
    parallel: int | Literal["auto"]
    stop: StopRule
    min_votes: int
    stop_threshold: float
    budget_tokens: int | None
    budget_s: float | None
    instruction: str | None


class SolveChanges(ChainChanges, VoteChanges, total=False):
    """The keyword arguments of `solve`: the fields of `VoteSettings`, and of `Settings` all but its `stop`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How one reply is generated; temperature and top_p are those of the R1 model card.

    `temperature` 0 is greedy. `top_k` 0 keeps the whole vocabulary (slow: see `engine/sampler.py`). `seed` None draws
    one, and the reply tells which. `max_tokens` counts thinking and answer, None is 32,768 or what the context leaves.
    `thinking` False skips the thought, as effort "none" does. `thinking_budget` tokens or `thinking_seconds` (from the first
    token) end the thought: it may finish its line, then `landing` is put in, one short sentence or "", and the answer is asked
    for. `effort` is a budget by name, see `EFFORT_TOKENS`; a `thinking_budget` goes before it. Without any the thought may take
    what context and `max_tokens` leave beside an answer. A closing tag before `min_thinking` tokens of thought is refused, once.
    `loop_check` False lets a thought go round in circles. `stop` strings end the answer and are never looked for in the
    thinking. One of `schema` (a JSON schema, a pydantic model or a dataclass), `choices` and `regex` holds the answer, and not the
    thinking, to what it says; see `Reply.parsed`. Raises BadSetting.
    """

    temperature: float = 0.6
    top_p: float = 0.95
    top_k: int = 256
    seed: int | None = None
    max_tokens: int | None = None
    thinking: bool = True
    effort: Effort | None = None
    thinking_budget: int | None = None
    thinking_seconds: float | None = None
    min_thinking: int = 4
    loop_check: bool = True
    landing: str = LANDING
    schema: Mapping[str, Any] | type[Any] | None = None
    choices: Sequence[str] | None = None
    regex: str | None = None
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _number("temperature", self.temperature, 0.0, 100.0)
        _number("top_p", self.top_p, 0.0, 1.0)
        if self.top_p == 0:
            raise BadSetting("top_p", self.top_p, "has to be above 0 and at most 1")
        _whole("top_k", self.top_k, 0)
        _whole("seed", self.seed, 0, MAX_SEED, optional=True)
        _whole("max_tokens", self.max_tokens, 1, optional=True)
        _yes_or_no("thinking", self.thinking)
        _yes_or_no("loop_check", self.loop_check)
        _whole("thinking_budget", self.thinking_budget, 0, optional=True)
        if self.thinking_seconds is not None:
            _number("thinking_seconds", self.thinking_seconds, 0.0, 1e9)
        _whole("min_thinking", self.min_thinking, 0)
        if self.effort is not None and self.effort not in EFFORT_TOKENS:
            raise BadSetting("effort", self.effort, f"has to be one of {', '.join(EFFORT_TOKENS)}")
        if self.max_tokens is not None and (self.thinking_budget or 0) >= self.max_tokens:
            raise BadSetting(
                "thinking_budget",
                self.thinking_budget,
                f"leaves no room for an answer in max_tokens={self.max_tokens}",
            )
        _text("landing", self.landing)
        if isinstance(self.stop, str) or not all(
            isinstance(text, str) and text for text in self.stop
        ):
            raise BadSetting("stop", self.stop, "has to be a list of strings that are not empty")
        object.__setattr__(self, "stop", tuple(self.stop))
        self._check_structure()

    def _check_structure(self) -> None:
        asked = [name for name in ("schema", "choices", "regex") if getattr(self, name) is not None]
        if len(asked) > 1:
            raise BadSetting(
                asked[1], getattr(self, asked[1]), f"cannot be combined with {asked[0]}"
            )
        if asked and self.stop:
            raise BadSetting("stop", self.stop, f"cannot end an answer that {asked[0]} decides")
        if not (
            self.schema is None
            or isinstance(self.schema, Mapping | type)
            or get_origin(self.schema)
        ):
            raise BadSetting(
                "schema",
                self.schema,
                "has to be a JSON schema as a dict, a pydantic model or a dataclass",
            )
        if self.regex is not None:
            _text("regex", self.regex)
        if self.choices is not None:
            choices = (
                tuple(self.choices)
                if isinstance(self.choices, Iterable) and not isinstance(self.choices, str)
                else ()
            )
            if not choices or not all(isinstance(choice, str) and choice for choice in choices):
                raise BadSetting(
                    "choices",
                    self.choices,
                    "has to be a list of strings, at least one and none of them empty",
                )
            for choice in choices:
                _text("choices", choice)
            object.__setattr__(self, "choices", choices)

    @property
    def structured(self) -> bool:
        """Whether the answer is held to a schema, choices or a regex."""
        return not (self.schema is None and self.choices is None and self.regex is None)

    @property
    def thinking_tokens(self) -> int | None:
        """The tokens of thinking asked for, by number or by effort; None: as many as there is room for."""
        if not self.thinking:
            return 0
        if self.thinking_budget is None and self.effort is not None:
            return EFFORT_TOKENS[self.effort]
        return self.thinking_budget

    def check_context(self, n_ctx: int) -> None:
        """Raise BadSetting if more thinking is asked for than a context of `n_ctx` can hold; what a prompt takes is another matter."""
        if self.thinking_budget is not None and self.thinking_budget >= n_ctx:
            problem = (
                f"the context holds {n_ctx} tokens in all; ask for less, or for a larger context"
            )
            raise BadSetting("thinking_budget", self.thinking_budget, problem)

    def changed(self, changes: Changes) -> Settings:
        """These settings with some fields changed; raises BadSetting for a name that does not exist."""
        _known(changes, [field.name for field in fields(Settings)])
        return replace(self, **changes)


KvType = Literal["f16", "q8_0", "q4_0"]
"""How the KV cache stores keys and values: two bytes each, or 34 or 18 bytes for 32 of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteSettings:
    """How many chains think about a question, and when their vote is over.

    `samples` chains are planned and `parallel` run at a time ("auto": what memory holds and this machine gains from).
    `stop` "lead" ends the vote once its outcome is certain, "none" never. "beta" also ends it, from `min_votes` votes on, once
    the leader would stay the leader with probability `stop_threshold` if all chains ran; so it saves more tokens, and about one
    vote in a hundred ends otherwise than with all chains at worst (see `reasoning.stopping`). `budget_tokens` and `budget_s`
    end it whatever the votes; the tokens are those of all chains. `instruction` is added to the question; None adds what the
    model is meant
    to get. Raises BadSetting.
    """

    samples: int = 8
    parallel: int | Literal["auto"] = "auto"
    stop: StopRule = "lead"
    min_votes: int = 4
    stop_threshold: float = 0.992
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
    kv_type: KvType | None
    repack: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSettings:
    """How a model is loaded; None leaves the choice to the plan.

    `n_ctx` is the most tokens of all sequences together (memory grows towards it as needed), `n_threads` the CPU
    threads, `n_gpu_layers` the layers on the GPU (-1: all), `n_seq_max` how many sequences may run at once, `kv_type`
    how the KV cache is stored, `repack` whether weights are rearranged for the CPU (loads later, decodes faster). Raises BadSetting.
    """

    n_ctx: int | None = None
    n_threads: int | None = None
    n_gpu_layers: int | None = None
    n_seq_max: int = 16
    kv_type: KvType | None = None
    repack: bool | None = None

    def __post_init__(self) -> None:
        _whole("n_ctx", self.n_ctx, 64, 2**24, optional=True)
        _whole("n_threads", self.n_threads, 1, 512, optional=True)
        _whole("n_gpu_layers", self.n_gpu_layers, -1, 100_000, optional=True)
        _whole("n_seq_max", self.n_seq_max, 1, 256)
        if self.kv_type is not None and self.kv_type not in get_args(KvType):
            raise BadSetting(
                "kv_type", self.kv_type, f"has to be one of {', '.join(get_args(KvType))}"
            )
        if self.repack is not None:
            _yes_or_no("repack", self.repack)

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
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or not low <= value <= high
    ):
        raise BadSetting(name, value, f"has to be a number from {low:g} to {high:g}")


def _whole(
    name: str, value: Any, low: int, high: int | None = None, optional: bool = False
) -> None:
    if value is None and optional:
        return
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or value < low
        or (high is not None and value > high)
    ):
        span = f"from {low} to {high}" if high is not None else f"of at least {low}"
        raise BadSetting(name, value, f"has to be a whole number {span}")


def _yes_or_no(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise BadSetting(name, value, "has to be True or False")


def _text(name: str, value: Any) -> None:
    if not isinstance(value, str) or any("\ud800" <= character <= "\udfff" for character in value):
        raise BadSetting(name, value, "has to be text, in valid Unicode")
