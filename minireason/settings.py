"""What a caller may ask for: how to generate and how to load. Every default is written here and nowhere else."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias, TypedDict, cast, get_args, get_origin

from minireason.checks import (
    Rule,
    check_fields,
    number,
    one_of,
    text,
    texts,
    whole,
    yes_or_no,
)
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

ONE_QUESTION = (("thinking", "effort", "thinking_budget"), ("schema", "choices", "regex"))
"""Settings that answer one question together: saying one takes back what was said of others."""

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

    stop: Sequence[str]


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
    stop: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_fields(self, _SETTINGS)
        if self.max_tokens is not None and (self.thinking_budget or 0) >= self.max_tokens:
            raise BadSetting(
                "thinking_budget",
                self.thinking_budget,
                f"leaves no room for an answer in max_tokens={self.max_tokens}",
            )
        self._check_structure()

    def _check_structure(self) -> None:
        asked = [name for name in ("schema", "choices", "regex") if getattr(self, name) is not None]
        if len(asked) > 1:
            raise BadSetting(
                asked[1], getattr(self, asked[1]), f"cannot be combined with {asked[0]}"
            )
        if asked and self.stop:
            raise BadSetting("stop", self.stop, f"cannot end an answer that {asked[0]} decides")

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
        """These settings with some fields changed; raises BadSetting.

        A change goes before what these settings say on the same question, see `layered`.
        """
        if not isinstance(changes, Mapping):
            problem = 'have to be a dict such as {"temperature": 0.6}'
            raise BadSetting("settings", changes, problem)
        _known(changes, [field.name for field in fields(Settings)])
        own = {field.name: getattr(self, field.name) for field in fields(Settings)}
        return Settings(**layered(cast("Changes", own), changes))


def kept(changes: Changes) -> Changes:
    """The changes as `Settings` keeps them, to be used again and again; raises BadSetting."""
    settings = Settings().changed(changes)
    return cast("Changes", {name: getattr(settings, name) for name in changes})


def layered(earlier: Changes, later: Changes) -> Changes:
    """Changes one after the other: of the settings of ONE_QUESTION those that were said last."""
    settled = {
        name
        for question in ONE_QUESTION
        if any(later.get(name) is not None for name in question)
        for name in question
    }
    left = {name: value for name, value in earlier.items() if name not in settled}
    return cast("Changes", {**left, **later})


def _schema(value: Any) -> Any:
    if not isinstance(value, Mapping | type) and not get_origin(value):
        raise ValueError("has to be a JSON schema as a dict, a pydantic model or a dataclass")
    return value


_SETTINGS: dict[str, Rule] = {
    "temperature": number(0, 100),
    "top_p": number(0, 1, above=True),
    "top_k": whole(0, 2**31 - 1),
    "seed": whole(0, MAX_SEED),
    "max_tokens": whole(1),
    "thinking": yes_or_no,
    "effort": one_of(EFFORT_TOKENS),
    "thinking_budget": whole(0),
    "thinking_seconds": number(0, 1e9),
    "min_thinking": whole(0),
    "loop_check": yes_or_no,
    "landing": text,
    "schema": _schema,
    "choices": texts(at_least=1),
    "regex": text,
    "stop": texts(at_least=0),
}

KvType = Literal["f16", "q8_0", "q4_0"]
"""How the KV cache stores keys and values: two bytes each, or 34 or 18 bytes for 32 of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteSettings:
    """How many chains think about a question, and when their vote is over.

    `samples` chains are planned and `parallel` run at a time ("auto": what memory holds and this
    machine gains from). `stop` "lead" ends the vote once its outcome is certain, and "none" never.
    "beta" also ends it, from `min_votes` votes on, once the leader would stay the leader with
    probability `stop_threshold` if all chains ran. It looks at the first chains in the planned order
    alone, so that it has no preference for short ones; at worst about one vote in a hundred ends
    otherwise than with all chains (see `reasoning.stopping`). `budget_tokens` and `budget_s` end it
    whatever the votes; the tokens are those of all chains, and a landing that is put in just then
    may go over them. `instruction` is added to the question;
    None adds what the model is meant to get. Raises BadSetting.
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
        check_fields(self, _VOTE_SETTINGS)

    @staticmethod
    def split(changes: SolveChanges) -> tuple[VoteSettings, Changes]:
        """The vote's settings, and the changes to each chain's; raises BadSetting for a name that does not exist."""
        own = {field.name for field in fields(VoteSettings)}
        _known(changes, [*own, *(field.name for field in fields(Settings))])
        vote: Any = {name: value for name, value in changes.items() if name in own}
        chain: Any = {name: value for name, value in changes.items() if name not in own}
        return VoteSettings(**vote), kept(chain)


_VOTE_SETTINGS: dict[str, Rule] = {
    "samples": whole(1, 10_000),
    "parallel": one_of(("auto",), whole(1, 256)),
    "stop": one_of(get_args(StopRule)),
    "min_votes": whole(1),
    "stop_threshold": number(0.5, 1),
    "budget_tokens": whole(1),
    "budget_s": number(0, 1e9),
    "instruction": text,
}


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
        check_fields(self, _LOAD_SETTINGS)

    @classmethod
    def of(cls, changes: LoadChanges) -> LoadSettings:
        """The defaults with some fields changed; raises BadSetting for a name that does not exist."""
        _known(changes, [field.name for field in fields(cls)])
        return cls(**changes)


_LOAD_SETTINGS: dict[str, Rule] = {
    "n_ctx": whole(64, 2**24),
    "n_threads": whole(1, 512),
    "n_gpu_layers": whole(-1, 100_000),
    "n_seq_max": whole(1, 256),
    "kv_type": one_of(get_args(KvType)),
    "repack": yes_or_no,
}


def _known(changes: Mapping[str, object], known: list[str]) -> None:
    for name, value in changes.items():
        if name not in known:
            near = difflib.get_close_matches(str(name), known, 1)
            hint = f"did you mean {near[0]}" if near else f"known are {', '.join(known)}"
            raise BadSetting(str(name), value, f"there is no such setting; {hint}")
