"""What a request asks for, in our words: every API makes the same of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

from minireason.events import Event, Reply, TokenLogprob
from minireason.messages import Message
from minireason.settings import Changes, VoteChanges
from minireason.voting.solution import Solution, SolveEvent
from minireason.wire.errors import ApiError


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. `prompt` is a raw text instead of messages; `vote` makes a vote of it."""

    model: str | None
    messages: Sequence[Message] = ()
    prompt: str | None = None
    parse_special: bool = False
    changes: Changes = field(default_factory=Changes)
    choices: int = 1
    """How many replies (`n`); their seeds follow one another."""
    vote: VoteChanges | None = None
    logprobs: int | None = None
    """How many alternatives of each token of the answer are told; None: no logprobs."""
    confidences: bool = False
    """Whether each reply tells how sure the model was of every token, thinking included."""
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call came to: `replies`, one for each choice, or the `solution` of a vote."""

    replies: tuple[Reply, ...] = ()
    solution: Solution | None = None
    clamped_budget: int | None = None
    """The budget of thinking that was taken instead of the larger one asked for; None: as asked."""
    logprobs: tuple[tuple[TokenLogprob, ...], ...] = ()
    """The tokens of each choice's answer; none at all where they were not asked for."""
    confidences: tuple[tuple[float, ...], ...] = ()
    """See `ReplyStream.confidences`, of each choice; none at all where they were not asked for."""

    def of_choice(self, index: int) -> Outcome:
        """What came of one choice alone."""
        return replace(
            self,
            replies=self.replies[index : index + 1],
            logprobs=self.logprobs[index : index + 1],
            confidences=self.confidences[index : index + 1],
        )


class Wire(Protocol):
    """One API's way of writing a reply; made for one request, and called for nothing else.

    A stream is `begin`, then `event` for each, then `end` or `fail`; a whole reply is `whole`.
    """

    media_type: str

    def begin(self) -> Iterable[bytes]:
        """What a stream begins with."""
        ...

    def event(self, index: int, event: Event | SolveEvent) -> Iterable[bytes]:
        """An event of the choice number `index`; the `Done` of each choice comes here too.

        Pieces of an answer are `ScoredDelta` where log-probabilities were asked for.
        """
        ...

    def ping(self) -> bytes:
        """What keeps a silent stream open; empty where the format has no such thing."""
        ...

    def end(self, outcome: Outcome) -> Iterable[bytes]:
        """What a stream ends with."""
        ...

    def fail(self, error: ApiError) -> Iterable[bytes]:
        """What a stream ends with that cannot go on."""
        ...

    def whole(self, outcome: Outcome) -> object:
        """The JSON of a reply that is not streamed."""
        ...


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from, and what it is called: known before a `Wire` is made.

    `id` is what the API calls the reply (such as "chatcmpl-..."), `created` seconds since 1970,
    `model` the name that the reply is told to be of, `owner` tells keys apart ("" without keys).
    """

    id: str
    request_id: str
    created: int
    model: str
    owner: str = ""


WireOf: TypeAlias = Callable[[Origin], Wire]
"""Makes the wire of a request."""
