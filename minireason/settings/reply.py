"""How one reply is generated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias, TypedDict, cast, get_origin

from minireason.checks import (
    Rule,
    check_fields,
    check_names,
    number,
    one_of,
    text,
    texts,
    whole,
    yes_or_no,
)
from minireason.errors import BadSetting

MAX_TOKENS = 32_768
"""The longest reply where nothing else is asked for, in tokens, thinking included.

DeepSeek used it for the published scores of the R1 distills.
"""

Effort: TypeAlias = Literal["none", "low", "medium", "high"]

EFFORT_TOKENS: dict[str, int] = {"none": 0, "low": 1_024, "medium": 4_096, "high": 12_288}
"""Effort in tokens of thinking; at most what context and `max_tokens` leave."""

LANDING = "I have to answer now, so I decide by what I have."
"""The end of a thought that is cut short: one short sentence that leads into the answer."""

MAX_SEED = 2**32 - 2
"""llama.cpp takes the seed 2**32 - 1 to mean "draw one"."""

ONE_QUESTION = (("thinking", "effort", "thinking_budget"), ("schema", "choices", "regex"))
"""Settings that answer one question together: to say one takes back what was said of the others."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How one reply is generated. Raises BadSetting.

    What each field means: docs/reference/settings.md, or below it in the source.

    At most one of `schema`, `choices` and `regex` holds the answer, and not the thinking, to what
    it says (structured output); `Reply.parsed` is its value.
    """

    temperature: float = 0.6
    """Randomness of sampling; 0 is greedy. From the R1 model card. Defaults to 0.6."""

    top_p: float = 0.95
    """The share of probability that is sampled from (nucleus sampling).

    From the R1 model card. Defaults to 0.95.
    """

    top_k: int = 256
    """How many of the likeliest tokens are sampled from, before `top_p`.

    0 keeps the whole vocabulary, which is slow: see `minireason/engine/sampler.py`.
    Defaults to 256.
    """

    seed: int | None = None
    """The seed of sampling; None draws one, and the reply tells which. Defaults to None."""

    max_tokens: int | None = None
    """The most tokens of thinking and answer together.

    None takes 32,768 (MAX_TOKENS), or what the context leaves. Defaults to None.
    """

    thinking: bool = True
    """Whether the model thinks; False skips the thought, as effort "none" does.

    Defaults to True.
    """

    effort: Effort | None = None
    """How much to think, by name: "none", "low", "medium" or "high".

    In tokens 0, 1,024, 4,096 and 12,288, see EFFORT_TOKENS. None sets no limit: the thought
    may take what context and `max_tokens` leave beside an answer. Defaults to None.
    """

    thinking_budget: int | None = None
    """Tokens of thinking after which the thought is cut short and led into its answer (landing).

    It may finish its line, then `landing` is put in and the answer is asked for. A budget goes
    before `effort`; None leaves it to that. Defaults to None.
    """

    thinking_seconds: float | None = None
    """Seconds of thinking, from its first token on, after which the thought is landed.

    None sets no limit. Defaults to None.
    """

    min_thinking: int = 4
    """Tokens of thinking before which a closing tag is refused, once. Defaults to 4."""

    loop_check: bool = True
    """Whether a thought that goes round in circles is landed.

    Of the loop the model then sees the first round only. Defaults to True.
    """

    landing: str = LANDING
    """What is put at the end of a thought that is cut short; "" puts nothing.

    Defaults to LANDING.
    """

    schema: Mapping[str, Any] | type[Any] | None = None
    """What the answer fits: a JSON schema, a pydantic model or a dataclass. Defaults to None."""

    choices: Sequence[str] | None = None
    """Texts of which the answer is one. Defaults to None."""

    regex: str | None = None
    """A regular expression that the whole answer fits. Defaults to None."""

    stop: Sequence[str] = ()
    """Texts that end the answer; they are never looked for in the thinking. Defaults to ()."""

    def __post_init__(self) -> None:
        check_fields(self, _RULES)
        if self.max_tokens is not None and (self.thinking_budget or 0) >= self.max_tokens:
            raise BadSetting(
                "thinking_budget",
                self.thinking_budget,
                f"leaves no room for an answer in max_tokens={self.max_tokens}",
                most=self.max_tokens - 1,
            )
        self._check_structure()

    def _check_structure(self) -> None:
        asked = self._structure()
        if len(asked) > 1:
            problem = f"cannot be combined with {asked[0]}"
            raise BadSetting(asked[1], getattr(self, asked[1]), problem)
        if asked and self.stop:
            raise BadSetting("stop", self.stop, f"cannot end an answer that {asked[0]} decides")

    def _structure(self) -> list[str]:
        """The names of the settings that hold the answer to something."""
        return [name for name in ("schema", "choices", "regex") if getattr(self, name) is not None]

    @property
    def structured(self) -> bool:
        """Whether the answer is held to a schema, choices or a regex."""
        return bool(self._structure())

    @property
    def thinking_tokens(self) -> int | None:
        """The tokens of thinking asked for, by number or by effort; None sets no limit."""
        if not self.thinking:
            return 0
        if self.thinking_budget is None and self.effort is not None:
            return EFFORT_TOKENS[self.effort]
        return self.thinking_budget

    def check_context(self, n_ctx: int) -> None:
        """Raise BadSetting if a context of `n_ctx` tokens cannot hold the thinking asked for.

        What the prompt takes is another matter.
        """
        if self.thinking_budget is not None and self.thinking_budget >= n_ctx:
            problem = (
                f"the context holds {n_ctx} tokens in all; ask for less, or for a larger context"
            )
            raise BadSetting("thinking_budget", self.thinking_budget, problem, most=n_ctx - 1)

    def check_begun(self) -> None:
        """Raise BadSetting if an answer cannot be gone on with that is begun already."""
        for name in self._structure():
            problem = "cannot hold an answer that is begun already; ask without its beginning"
            raise BadSetting(name, getattr(self, name), problem)

    def changed(self, changes: Changes | ChainChanges) -> Settings:
        """These settings with some fields changed; raises BadSetting.

        A change goes before what these settings say on the same question, see `layered`.
        """
        if not isinstance(changes, Mapping):
            problem = 'have to be a dict such as {"temperature": 0.6}'
            raise BadSetting("settings", changes, problem)
        check_names(changes, [field.name for field in fields(Settings)])
        own = {field.name: getattr(self, field.name) for field in fields(Settings)}
        return Settings(**layered(cast("Changes", own), changes))


def kept(changes: Changes) -> Changes:
    """The changes as `Settings` keeps them, to be used again and again; raises BadSetting."""
    settings = Settings().changed(changes)
    return cast("Changes", {name: getattr(settings, name) for name in changes})


def layered(earlier: Changes, later: Changes | ChainChanges) -> Changes:
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


_RULES: dict[str, Rule] = {
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
