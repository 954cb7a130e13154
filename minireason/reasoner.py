"""load() or connect() -> Reasoner: what is asked of a model, over one backend."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack, overload

from minireason.backends import loading
from minireason.backends.base import Backend, ReplyStream, StreamOptions, missing_of
from minireason.backends.capabilities import CompletesText, KnowsLogprobs, LogprobStream
from minireason.checks import checked, function, text, yes_or_no
from minireason.closing import Closing
from minireason.errors import BadSetting, UsageError, shown
from minireason.events import Reply
from minireason.messages import Message, as_messages
from minireason.models.plan import FitPlan
from minireason.settings import Changes, LoadChanges, LoadSettings, Settings, SolveChanges, kept

if TYPE_CHECKING:  # what one question does not need
    from minireason.conversation.session import Session
    from minireason.voting.solution import Solution
    from minireason.voting.solve import SolveStream


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
    gets the share loaded, 0 to 1; the other keywords are the fields of `LoadSettings`, such as
    `n_ctx`, `n_threads`, `n_gpu_layers` and `kv_type`. What is decided is said by the logger
    `minireason`. Raises BadSetting, UsageError, UnknownModel, NotInstalled, ModelFileError,
    DoesNotFit or EngineError.
    """
    requested = LoadSettings.of(changes)
    if not isinstance(model, str | os.PathLike):
        raise UsageError(f"A model is a name or the path of a .gguf file, and not {shown(model)}.")
    if on_progress is not None:
        checked("on_progress", on_progress, function)
    own = kept(defaults or {})
    return Reasoner(
        loading.open_model(os.fspath(model), requested, defaults=own, on_progress=on_progress)
    )


def connect(
    url: str,
    model: str | None = None,
    api_key: str | None = None,
    flavour: str = "auto",
    *,
    defaults: Changes | None = None,
) -> Reasoner:
    """Connect to a model of a server that speaks OpenAI's protocol, such as http://HOST:8000/v1.

    Instead of a URL it may be a name from the user's remotes.toml, and then `model`, `api_key` and
    `flavour` go before what that says. `model` may be left out where the server has one alone.
    `api_key` comes from the environment variable MINIREASON_API_KEY if nothing else says one, and
    goes to this host alone. `flavour` is the kind of server, which is found out by asking it:
    "minireason", "vllm", "sglang", "llama-server", "llama-cpp-python", "ollama", "deepseek",
    "openai" or "plain". `defaults` are as in `load`. Raises BadSetting, BadCatalog, UsageError,
    ServerError or NotServed.
    """
    from minireason.backends.remote import named
    from minireason.backends.remote.backend import open_remote

    own = kept(defaults or {})
    if not isinstance(url, str):
        raise UsageError(f"A URL is text such as http://localhost:8000/v1, and not {shown(url)}.")
    target = named.find(url.strip(), key=api_key)
    kind = target.flavour if flavour == "auto" else flavour
    return Reasoner(open_remote(target.url, model or target.model, target.key, kind, defaults=own))


class Reasoner(Closing):
    """A model that answers, thinks, votes and converses; `load` makes one.

    Streams may be open side by side and read from any threads; they share batches. `backend` is
    where replies come from: llama.cpp in this process (`LocalBackend`), or any other `Backend`.

    Loaded with `reproducible=True` and one stream alone, the same seed, settings and cached prefix
    give the same text on one build of llama.cpp. Streams side by side, drafted tokens, and threads
    that follow what else the machine does may change the last bits of the arithmetic, and with
    that, sooner or later, a token where two are about equally likely.
    """

    def __init__(self, backend: Backend) -> None:
        if missing := missing_of(backend):
            raise UsageError(
                f"A Reasoner stands on a backend, and {shown(backend)} has no "
                f"{', '.join(missing)}; minireason.load() makes one of a model."
            )
        self.backend = backend

    def __repr__(self) -> str:
        facts = ["thinks" if self.thinks else "does not think"]
        facts.append(f"{self.n_ctx:,} tokens of context")
        from minireason.backends.local import LocalBackend

        if isinstance(self.backend, LocalBackend):
            facts.append(self.backend.state)
        return f"<Reasoner {self.name}: {', '.join(facts)}>"

    @property
    def name(self) -> str:
        """The model's name in the catalogue, or that of its file."""
        return self.backend.name

    @property
    def thinks(self) -> bool:
        """Whether this is a thinking model; others only answer."""
        return self.backend.thinks

    @property
    def n_ctx(self) -> int:
        """The most tokens that a prompt and its reply may have together."""
        return self.backend.n_ctx

    @property
    def defaults(self) -> Settings:
        """The settings of a reply where a call says nothing."""
        return self.backend.defaults

    @property
    def plan(self) -> FitPlan:
        """How the model was loaded; raises UsageError where it does not run in this process."""
        from minireason.backends.local import LocalBackend

        if not isinstance(self.backend, LocalBackend):
            raise UsageError(f"{self.name} was not loaded by minireason, so there is no plan.")
        return self.backend.plan

    @overload
    def stream(
        self,
        question: str | Sequence[Message],
        *,
        logprobs: int,
        on_prefill: Callable[[int, int], None] | None = None,
        **changes: Unpack[Changes],
    ) -> LogprobStream: ...

    @overload
    def stream(
        self,
        question: str | Sequence[Message],
        *,
        logprobs: None = None,
        on_prefill: Callable[[int, int], None] | None = None,
        **changes: Unpack[Changes],
    ) -> ReplyStream: ...

    def stream(
        self,
        question: str | Sequence[Message],
        *,
        logprobs: int | None = None,
        on_prefill: Callable[[int, int], None] | None = None,
        **changes: Unpack[Changes],
    ) -> ReplyStream:
        """Start a reply to a question or a list of messages; nothing runs until it is iterated.

        The keywords are the fields of `Settings`, those that are not given come from `defaults`.
        `on_prefill` gets (tokens read, tokens in all) while a prompt is read. With `logprobs` the
        stream tells the log-probability of each token of the answer, and so many of the likeliest
        in its place, 0 to 20. Raises BadSetting, UsageError or ContextFull.
        """
        settings = self.defaults.changed(changes)
        options = StreamOptions(on_prefill=on_prefill, logprobs=logprobs)
        return _telling(self.backend.stream(as_messages(question), settings, options), options)

    def ask(self, question: str | Sequence[Message], **changes: Unpack[Changes]) -> Reply:
        """The whole reply to a question or a list of messages; all else as for `stream`."""
        with self.stream(question, **changes) as stream:
            for _ in stream:
                pass
            return stream.reply

    @overload
    def complete_stream(
        self,
        prompt: str,
        *,
        logprobs: int,
        parse_special: bool = False,
        **changes: Unpack[Changes],
    ) -> LogprobStream: ...

    @overload
    def complete_stream(
        self,
        prompt: str,
        *,
        logprobs: None = None,
        parse_special: bool = False,
        **changes: Unpack[Changes],
    ) -> ReplyStream: ...

    def complete_stream(
        self,
        prompt: str,
        *,
        logprobs: int | None = None,
        parse_special: bool = False,
        **changes: Unpack[Changes],
    ) -> ReplyStream:
        """Start a text that goes on from a raw prompt; nothing runs until it is iterated.

        There is no template and no thought: all that comes is the answer, tags and white space too.
        Literals of control tokens in the prompt are text, unless `parse_special` makes the tokens
        of them. The keywords are the fields of `Settings`, without those that limit a thought;
        `logprobs` is as for `stream`. Raises BadSetting, UsageError or ContextFull.
        """
        if not isinstance(self.backend, CompletesText):
            raise UsageError(f"{self.name} takes no raw prompts; ask it a question.")
        for name in ("effort", "thinking_budget", "thinking_seconds"):
            if (value := changes.get(name)) is not None:
                raise BadSetting(name, value, "a raw prompt has no thought to limit; leave it out")
        options = StreamOptions(logprobs=logprobs)
        stream = self.backend.complete(
            checked("prompt", prompt, text),
            self.defaults.changed({**changes, "thinking": False}),
            options,
            parse_special=checked("parse_special", parse_special, yes_or_no),
        )
        return _telling(stream, options)

    def complete(
        self, prompt: str, *, parse_special: bool = False, **changes: Unpack[Changes]
    ) -> Reply:
        """The whole text that goes on from a raw prompt; all else as for `complete_stream`."""
        with self.complete_stream(prompt, parse_special=parse_special, **changes) as stream:
            for _ in stream:
                pass
            return stream.reply

    def solve_stream(
        self, question: str | Sequence[Message], **changes: Unpack[SolveChanges]
    ) -> SolveStream:
        """Start a majority vote of many replies; nothing runs until the stream is iterated.

        The keywords are the fields of `VoteSettings` and, for each chain, of `Settings`. Raises
        BadSetting, UsageError or ContextFull.
        """
        from minireason.voting.solve import SolveStream

        return SolveStream(self.backend, question, changes)

    def solve(self, question: str | Sequence[Message], **changes: Unpack[SolveChanges]) -> Solution:
        """The answer that most chains come to (self-consistency); all else as `solve_stream`."""
        with self.solve_stream(question, **changes) as stream:
            for _ in stream:
                pass
            return stream.solution

    def count_tokens(self, question: str | Sequence[Message], *, at_most: int | None = None) -> int:
        """How many tokens a prompt has; raises UsageError as `stream` does.

        Where it has far more than `at_most`, an estimate above that: a prompt too long for any use
        is not counted to its end.
        """
        return self.backend.count_tokens(as_messages(question), at_most=at_most)

    def prefill(
        self, messages: Sequence[Message], stopped: Callable[[], bool] = lambda: False
    ) -> int:
        """Read what any next question after these messages will be preceded by into the KV cache.

        Then it need not be read when that question comes. Waits until it is done, in slices of some
        tokens, and steps aside while a stream is read. The number of tokens read.
        """
        checked("stopped", stopped, function)
        return self.backend.prefill(as_messages(messages), stopped)

    def chat(
        self, *, system: str | None = None, read_ahead: bool = False, **changes: Unpack[Changes]
    ) -> Session:
        """Start a conversation with this model; for `read_ahead` see `Session`.

        The other keywords are the settings of all its turns; what a turn says goes before them.
        Raises BadSetting.
        """
        from minireason.conversation.session import Session

        return Session(self, system=system, read_ahead=read_ahead, **changes)

    def close(self) -> None:
        """Free the model's memory, after what other threads run in it; open streams cannot go on.

        In a process that was forked it does nothing, and everything else raises EngineError.
        """
        self.backend.close()


def _telling(stream: ReplyStream, options: StreamOptions) -> ReplyStream:
    """The stream, if it tells log-probabilities where they are wanted; raises UsageError."""
    if options.logprobs is not None and not isinstance(stream, KnowsLogprobs):
        stream.close()
        raise UsageError("This backend cannot tell log-probabilities; leave out logprobs.")
    return stream
