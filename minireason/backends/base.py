"""The seam between the model and everything that asks it: `Backend` and `ReplyStream`.

`Reasoner`, voting, conversation and evaluation know these protocols and nothing else of a model.
To write a new backend, write one class for each in one file, and hand it to `Reasoner`:

    class EchoBackend:
        name, thinks, bare_questions, defaults = "echo", False, True, Settings()
        n_ctx, max_parallel = 4096, 8
        def stream(self, messages, settings, options): return EchoStream(messages, settings)
        ...
    reasoner = Reasoner(EchoBackend())

`backends/scripted.py` is a small complete one, `backends/local.py` the one that runs llama.cpp.
What comes in is checked already: messages have a known role and text, settings are a `Settings`.
What only the backend can know (a prompt that is too long, a setting that it cannot follow) it
tells by an error of `minireason.errors`, and never by another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from minireason.checks import Rule, check_fields, function, text, whole, yes_or_no
from minireason.errors import UsageError
from minireason.events import Event, Reply
from minireason.messages import Message
from minireason.settings import Settings

MAX_LOGPROBS = 20
"""The most alternatives to a token that are told, as in OpenAI's API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """What whoever opens a stream wants of it, beyond what the reply shall be like.

    Raises BadSetting.
    """

    on_prefill: Callable[[int, int], None] | None = None
    """Called with (tokens read, tokens in all) while a long prompt is read. Defaults to None."""

    watch_confidence: bool = False
    """Note how sure the model is of each token (`ReplyStream.confidences`). Defaults to False."""

    cache_reply: bool = True
    """Keep the reply in the KV cache after its end, since a next prompt may go on from it.

    With False only the prompt stays. Defaults to True.
    """

    logprobs: int | None = None
    """Tell the log-probability of each token of the answer, and so many of the likeliest in its
    place, up to MAX_LOGPROBS (`KnowsLogprobs`). Defaults to None, none at all.
    """

    cache_scope: str = ""
    """Prefixes are shared within a scope only: prompts of another one are as if never read.

    A server has one for each API key, so that times tell nothing of others' prompts. Defaults to
    "".
    """

    allowance: Callable[[], int] | None = None
    """How many tokens several streams together may still generate, forced ones included.

    The reply ends with "length" before it goes over that. Called before each token, perhaps under
    a lock of the backend: so it only counts. Defaults to None, no limit.
    """

    def __post_init__(self) -> None:
        check_fields(self, _OPTION_RULES)


_OPTION_RULES: dict[str, Rule] = {
    "on_prefill": function,
    "watch_confidence": yes_or_no,
    "cache_reply": yes_or_no,
    "logprobs": whole(0, MAX_LOGPROBS),
    "cache_scope": text,
    "allowance": function,
}


class ReplyStream(Iterator[Event], Protocol):
    """The events of one reply, to be iterated once: ThinkingDelta, then AnswerDelta, then one Done.

    Asking for the next event makes the model run until there is one. `cancel`, `finish_thinking`
    and `drop` may be called from any thread, from a signal handler or from a finalizer. Whatever is
    interrupted by an exception (KeyboardInterrupt too) can be asked again, and loses no event.
    """

    def __iter__(self) -> Self:
        """The stream; raises UsageError the second time."""
        ...

    def __next__(self) -> Event:
        """The next event; raises EngineError where the reply cannot go on."""
        ...

    def poll(self) -> list[Event]:
        """The events that are there after at most one step of the model, perhaps none.

        For reading many streams in turn. It waits for one token at most, or where the model is far
        away for some milliseconds. After the end it gives no more events. Raises as `__next__`.
        """
        ...

    @property
    def ended(self) -> bool:
        """Whether the reply is whole or was ended, though not all events may have been read."""
        ...

    @property
    def tokens(self) -> int:
        """Tokens generated so far, thinking, answer and forced ones; never fewer than before."""
        ...

    @property
    def thinking_tokens(self) -> int:
        """Tokens of thinking so far."""
        ...

    @property
    def confidences(self) -> Sequence[float]:
        """A value for each sampled token so far, higher is surer (see `engine.confidence`).

        Empty unless `StreamOptions.watch_confidence` asked for it and the backend can tell.
        """
        ...

    @property
    def reply(self) -> Reply:
        """The whole reply, or as much as there was when the stream was closed.

        Raises UsageError before that, and once where a structured answer makes the code of its
        own schema fail.
        """
        ...

    def cancel(self) -> None:
        """Ask that the reply end here; iterating on gives what is left, then Done."""
        ...

    def finish_thinking(self) -> bool:
        """Ask that the thought end here and the answer come.

        False if there is no thought under way, it was asked before, or the backend cannot.
        """
        ...

    def close(self) -> None:
        """End the reply if it has not ended ("cancelled"), and free its place at once.

        It may be called where nothing can be ended, as a generator that is collected in the middle
        of a step does: then it drops the stream, which has not `ended` before it is closed again.
        """
        ...

    def drop(self) -> None:
        """Free its place soon and wait for nothing: for finalizers."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        ...


def reply_of(stream: ReplyStream) -> Reply:
    """The reply of a stream that has ended, also where its schema refuses the value.

    A stream raises that once, see `ReplyStream.reply`; here nobody wants to hear of it.
    """
    with suppress(UsageError):
        return stream.reply
    return stream.reply


class Backend(Protocol):
    """Where replies come from. Its methods may be called from any thread."""

    @property
    def name(self) -> str:
        """What `Reply.model` says; a name of the catalogue where the model is one of its."""
        ...

    @property
    def thinks(self) -> bool:
        """Whether this is a thinking model; others only answer."""
        ...

    @property
    def bare_questions(self) -> bool:
        """Whether a vote asks its questions as they are, without an instruction of its own.

        Else it adds the R1 model card's, to put the final answer within \\boxed{}.
        """
        ...

    @property
    def n_ctx(self) -> int:
        """The most tokens that a prompt and its reply may have together."""
        ...

    @property
    def defaults(self) -> Settings:
        """The settings of a reply where a call says nothing."""
        ...

    @property
    def max_parallel(self) -> int:
        """The most replies that it runs side by side; more streams may be open, and wait."""
        ...

    def room_for(self, reply_tokens: int) -> int:
        """How many replies of so many tokens each, prompt included, may run side by side.

        At least 1, at most `max_parallel`; a backend with memory to spare returns `max_parallel`.
        """
        ...

    def check(self, settings: Settings, prompt_tokens: int = 0) -> None:
        """Raise what `stream` would for these settings and a prompt of so many tokens.

        BadSetting for what this backend cannot do, ContextFull for a prompt that leaves no room.
        """
        ...

    def stream(
        self, messages: Sequence[Message], settings: Settings, options: StreamOptions
    ) -> ReplyStream:
        """Start a reply; nothing runs until the stream is iterated.

        `settings.seed` None draws one, and the reply tells which. Raises BadSetting, UsageError,
        ContextFull or EngineError.
        """
        ...

    def count_tokens(self, messages: Sequence[Message], *, at_most: int | None = None) -> int:
        """How many tokens the prompt of these messages has; raises UsageError as `stream` does.

        Where it has far more than `at_most`, an estimate above that is enough.
        """
        ...

    def prefill(
        self,
        messages: Sequence[Message],
        stopped: Callable[[], bool],
        *,
        cache_scope: str = "",
    ) -> int:
        """Read what any next question after these messages will be preceded by into the KV cache.

        It serves streams of the same `cache_scope`, see `StreamOptions.cache_scope`. Waits until it
        is done or `stopped` says so, and steps aside while a stream is read. The number of tokens
        read; 0 where the backend cannot.
        """
        ...

    def release(self) -> None:
        """Give back memory that only many replies side by side needed; for after a vote."""
        ...

    def close(self) -> None:
        """Free what it holds; open streams cannot go on, and everything else raises EngineError."""
        ...


def missing_of(backend: object) -> list[str]:
    """The names of `Backend` that an object lacks, in order; none: it may be used as one."""
    names = (name for name in dir(Backend) if not name.startswith("_"))
    return [name for name in names if not hasattr(backend, name)]
