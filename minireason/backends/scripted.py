"""A backend that says what was written for it: to test programs, without a model.

It follows simple rules, so that a test can count:

- A token is a word with the white space before it; a reply written in pieces has one for each.
- A prompt has a token for each of its words and one for the role of each message.
- Where the messages end with the beginning of a reply, what is written comes behind it: without the
  written thinking, if there is a beginning of the answer.
- Each step of a stream gives one token. Nothing waits, and `on_prefill` is never called.
- A raw prompt has a token for each of its words, and gets the written answer alone. A function of
  the messages gets it as the user's.
- `thinking=False`, effort "none" and a budget of 0 leave the written thinking out ("skipped").
- A budget, or `finish_thinking`, ends the thought after so many tokens ("budget", "user"); then the
  landing is put in, its words counted as forced, and the written answer follows.
- `max_tokens` cuts thinking and answer off where they are ("length").
- A `stop` string ends the answer before it. A structured answer is parsed as it was written.
- A token of the answer has the log-probability that is written, and no other in its place.
- Temperature, top_p and other settings of the sampler change nothing.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from minireason.backends.base import StreamOptions
from minireason.backends.scripted_reply import ScriptedReply, pieces
from minireason.backends.scripted_stream import ScriptedPrompt, ScriptedStream
from minireason.errors import ContextFull, EngineError, UsageError, shown
from minireason.messages import Message
from minireason.reasoning.begun import begun_of, parted
from minireason.reasoning.structured.grammar import constraint
from minireason.settings import MAX_TOKENS, Settings

Written: TypeAlias = str | ScriptedReply | Exception
"""A reply: its answer alone, or the whole, or an error in its place."""

Script: TypeAlias = Written | Iterable[Written] | Callable[[Sequence[Message]], Written]


@dataclass(frozen=True, slots=True)
class ScriptedRequest:
    """What a stream was opened with."""

    messages: tuple[Message, ...]
    settings: Settings
    options: StreamOptions
    prompt: str | None = None
    """The raw prompt of a text that was to be completed; there are no messages then."""


class ScriptedBackend:
    """Replays written replies; `Reasoner(ScriptedBackend(["17 + 25 is 42."]))` is a whole model.

    The script is one reply that is always given, or several, one for each stream that is opened, or
    a function of the messages. `requests` holds what was asked, in order.
    """

    def __init__(
        self,
        script: Script,
        *,
        name: str = "scripted",
        thinks: bool = True,
        bare_questions: bool = False,
        n_ctx: int = 4096,
        max_parallel: int = 16,
        defaults: Settings | None = None,
    ) -> None:
        self.name, self.thinks, self.n_ctx, self.max_parallel = name, thinks, n_ctx, max_parallel
        self.bare_questions, self.defaults = bare_questions, defaults or Settings()
        self.requests: list[ScriptedRequest] = []
        self.prefilled: list[tuple[Message, ...]] = []
        """The messages that `prefill` was called with."""
        self._next = _replies(script)
        self._streams: weakref.WeakSet[ScriptedStream] = weakref.WeakSet()
        self._closed = False

    @property
    def running(self) -> int:
        """How many streams have not ended."""
        return sum(not stream.ended for stream in list(self._streams))

    def room_for(self, reply_tokens: int) -> int:
        """See `Backend.room_for`: there is always room."""
        return self.max_parallel

    def check(self, settings: Settings, prompt_tokens: int = 0) -> None:
        """See `Backend.check`."""
        self._check_open()
        settings.check_context(self.n_ctx)
        constraint(settings)
        if prompt_tokens >= self.n_ctx:
            raise ContextFull(prompt_tokens, self.n_ctx)

    def stream(
        self, messages: Sequence[Message], settings: Settings, options: StreamOptions
    ) -> ScriptedStream:
        """See `Backend.stream`; takes the next reply of the script."""
        prompt_tokens = self.count_tokens(messages)
        self.check(settings, prompt_tokens)
        begun = begun_of(messages, settings)
        return self._start(
            ScriptedRequest(tuple(messages), settings, options),
            messages,
            prompt_tokens,
            in_answer=bool(begun.answer),
        )

    def complete(
        self,
        prompt: str,
        settings: Settings,
        options: StreamOptions,
        *,
        parse_special: bool = False,
    ) -> ScriptedStream:
        """See `CompletesText.complete`; takes the next reply of the script."""
        prompt_tokens = len(pieces(prompt))
        self.check(settings, prompt_tokens)
        return self._start(
            ScriptedRequest((), settings, options, prompt),
            [Message(role="user", content=prompt)],
            prompt_tokens,
            in_answer=True,
        )

    def _start(
        self,
        request: ScriptedRequest,
        asked: Sequence[Message],
        prompt_tokens: int,
        *,
        in_answer: bool,
    ) -> ScriptedStream:
        """The stream of the next reply of the script; `in_answer`: without its thought.

        The request is noted before, so that a script may look at it.
        """
        settings = request.settings
        self.requests.append(request)
        written = _whole(self._next(asked))
        prompt = ScriptedPrompt(
            tokens=prompt_tokens,
            room=min(settings.max_tokens or MAX_TOKENS, self.n_ctx - prompt_tokens),
            thinks=self.thinks and request.prompt is None,
            in_answer=in_answer,
        )
        stream = ScriptedStream(self.name, written, settings, request.options, prompt)
        self._streams.add(stream)
        return stream

    def count_tokens(self, messages: Sequence[Message], *, at_most: int | None = None) -> int:
        """See `Backend.count_tokens`: the words, and one for each message."""
        self._check_open()
        asked, begun = parted(messages)
        if begun is None:
            return _prompt_tokens(asked)
        begun.check(thinks=self.thinks)
        thought = pieces(begun.thinking) if self.thinks else []
        return _prompt_tokens(asked) + 1 + len(thought) + len(pieces(begun.answer))

    def prefill(
        self,
        messages: Sequence[Message],
        stopped: Callable[[], bool],
        *,
        cache_scope: str = "",
    ) -> int:
        """See `Backend.prefill`; notes the messages in `prefilled`."""
        self._check_open()
        self.prefilled.append(tuple(messages))
        return _prompt_tokens(messages)

    def release(self) -> None:
        """See `Backend.release`: there is nothing to give back."""

    def close(self) -> None:
        """See `Backend.close`."""
        self._closed = True
        for stream in list(self._streams):
            stream.fail(EngineError("This backend was closed."))

    def _check_open(self) -> None:
        if self._closed:
            raise EngineError("This backend was closed.")


def _prompt_tokens(messages: Sequence[Message]) -> int:
    return sum(1 + len(pieces(message["content"])) for message in messages)


def _replies(script: Script) -> Callable[[Sequence[Message]], Written]:
    """What gives the next reply to some messages."""
    if isinstance(script, str | ScriptedReply | Exception):
        return lambda _messages: script
    if callable(script):
        return script
    if isinstance(script, bytes | Mapping) or not isinstance(script, Iterable):
        raise UsageError(
            f"A script is one reply, several, or a function of the messages, and not "
            f"{shown(script)}."
        )
    left: Iterator[Written] = iter(script)

    def following(_messages: Sequence[Message]) -> Written:
        for written in left:
            return written
        raise UsageError("The script is at its end; write a reply for each stream that is opened.")

    return following


def _whole(written: Written) -> ScriptedReply:
    if isinstance(written, ScriptedReply):
        return written
    if isinstance(written, Exception):
        return ScriptedReply(error=written)
    if isinstance(written, str):
        return ScriptedReply(answer=written)
    raise UsageError(f"A scripted reply is text or a ScriptedReply, and not {shown(written)}.")
