"""What a `Backend` or a `ReplyStream` may do beyond its protocol; callers ask by `isinstance`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from minireason.backends.base import ReplyStream, StreamOptions
from minireason.events import TokenLogprob
from minireason.models.tuned import StepCosts
from minireason.settings import Settings


@runtime_checkable
class KnowsLogprobs(Protocol):
    """A `ReplyStream` may know this as well."""

    @property
    def logprobs(self) -> Sequence[TokenLogprob]:
        """One for each sampled token of the answer so far, in order; it only grows.

        Tokens that were put in for the model have none, nor has the end of the text. Those of a
        stop string have one, though their text is left out. Empty unless `StreamOptions.logprobs`
        asked for it.
        """
        ...


class LogprobStream(ReplyStream, KnowsLogprobs, Protocol):
    """A `ReplyStream` that tells log-probabilities."""


@runtime_checkable
class KnowsStepCosts(Protocol):
    """A `Backend` may know this as well."""

    @property
    def step_costs(self) -> StepCosts | None:
        """What a step for several replies costs; None where it was not measured."""
        ...


@runtime_checkable
class CompletesText(Protocol):
    """A `Backend` may do this as well."""

    def complete(
        self,
        prompt: str,
        settings: Settings,
        options: StreamOptions,
        *,
        parse_special: bool = False,
    ) -> ReplyStream:
        """Start a text that goes on from a raw prompt; nothing runs until the stream is iterated.

        There is no template and no thought: all that comes is the answer, tags and white space too,
        and what `settings` say of thinking counts for nothing. Literals of control tokens in the
        prompt are text, unless `parse_special` makes the tokens of them. Raises BadSetting,
        UsageError, ContextFull or EngineError.
        """
        ...


@runtime_checkable
class KnowsWhenReady(Protocol):
    """A `ReplyStream` may know this as well, for whoever reads many in turn."""

    @property
    def ready(self) -> bool:
        """Whether `poll` would give something, or the end, without a step of the model."""
        ...


@runtime_checkable
class MayEstimate(Protocol):
    """A `ReplyStream` may know this as well."""

    @property
    def estimated(self) -> bool:
        """Whether the counts of its reply are estimates, since nobody with the vocabulary told."""
        ...


@runtime_checkable
class MeasuresItself(Protocol):
    """A `Backend` may do this as well."""

    def measure(self, stopped: Callable[[], bool]) -> None:
        """Measure what is faster on this machine, for the next time, while nobody wants the model.

        Steps aside as soon as `stopped` says so. Does nothing where there is nothing to find out.
        """
        ...


@dataclass(frozen=True, slots=True)
class Retry:
    """A request that is sent again."""

    problem: str
    """What is wrong with the server: "not reached", "busy (status 503)", ..."""

    number: int
    """Which try comes next, from 2 on."""

    tries: int
    """How many there are at most."""

    at_s: float
    """When it is made, by `time.monotonic`."""


@runtime_checkable
class TellsRetries(Protocol):
    """A `Backend` may tell this as well."""

    @property
    def retry(self) -> Retry | None:
        """The request that was last to be sent again; None once the server answers, or none is."""
        ...


@runtime_checkable
class OneOfSeveral(Protocol):
    """A `Backend` may be one of the models of a server."""

    @property
    def models(self) -> Sequence[str]:
        """The names of all, as they were when the server was last asked."""
        ...

    @property
    def tells_n_ctx(self) -> bool:
        """Whether the server has told the context of this one; else `n_ctx` is a guess."""
        ...

    def list_models(self) -> Sequence[str]:
        """Ask the server anew; raises ServerError."""
        ...
