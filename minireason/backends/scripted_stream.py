"""The stream of a scripted reply; the rules that it follows are in `backends.scripted`."""

from __future__ import annotations

import itertools
import operator
import random
import time
from collections.abc import Iterator, Sequence
from typing import Any

from minireason import answers
from minireason.backends.base import StreamOptions
from minireason.backends.scripted_reply import ScriptedReply, pieces
from minireason.closing import Closing
from minireason.errors import UsageError
from minireason.events import (
    AnswerDelta,
    Done,
    Event,
    FinishReason,
    Reply,
    ThinkingDelta,
    ThinkingEnd,
    Timings,
    TokenLogprob,
    Usage,
)
from minireason.reasoning.structured.grammar import constraint
from minireason.reasoning.text import StopStrings
from minireason.settings import MAX_SEED, Settings


class ScriptedStream(Iterator[Event], Closing):
    """One written reply, a token at a time; `room` is how many tokens may come.

    `answers` says that the answer is begun, so that no thought comes.
    """

    def __init__(
        self,
        model: str,
        written: ScriptedReply,
        settings: Settings,
        options: StreamOptions,
        *,
        prompt_tokens: int,
        room: int,
        thinks: bool,
        answers: bool = False,
    ) -> None:
        self._model, self._settings, self._options = model, settings, options
        self._written, self._error, self._thinks = written, written.error, thinks
        thinking = thinks and not answers and settings.thinking_tokens != 0
        self._thinking = pieces(written.thinking) if thinking else []
        self._answer = pieces(written.answer)
        self._landing: ThinkingEnd | None = None
        self._prompt_tokens, self._room = prompt_tokens, room
        self._thought = self._answered = self._forced = 0
        self._stops = StopStrings(settings.stop)
        self._logprobs: list[TokenLogprob] = []
        self._answer_chars = 0
        self._said: list[Event] = []
        self._unread = iter(self._said)
        self._reply: Reply | None = None
        self._iterated = self._cancelled = self._finishing = False
        self._seed = random.randrange(MAX_SEED) if settings.seed is None else settings.seed
        self._began = time.perf_counter()
        self._first: dict[str, float] = {}

    def __iter__(self) -> ScriptedStream:
        if self._iterated:
            raise UsageError("This stream has been iterated already; ask again for another reply.")
        self._iterated = True
        return self

    def __next__(self) -> Event:
        while not self._waiting:
            if self._reply:
                raise StopIteration
            self._step()
        return next(self._unread)

    def poll(self) -> list[Event]:
        """See `ReplyStream.poll`."""
        if not self._waiting and not self._reply:
            self._step()
        return list(itertools.islice(self._unread, self._waiting))

    @property
    def ready(self) -> bool:
        """See `KnowsWhenReady.ready`: no model runs."""
        return True

    @property
    def _waiting(self) -> int:
        """How many events were not read yet."""
        return operator.length_hint(self._unread)

    @property
    def ended(self) -> bool:
        """See `ReplyStream.ended`."""
        return self._reply is not None

    @property
    def tokens(self) -> int:
        """See `ReplyStream.tokens`."""
        return self._thought + self._answered + self._forced

    @property
    def thinking_tokens(self) -> int:
        """See `ReplyStream.thinking_tokens`."""
        return self._thought

    @property
    def confidences(self) -> Sequence[float]:
        """See `ReplyStream.confidences`: what was written, for each token."""
        watched = self._options.watch_confidence
        return [self._written.confidence] * (self._thought + self._answered) if watched else ()

    @property
    def logprobs(self) -> Sequence[TokenLogprob]:
        """See `KnowsLogprobs.logprobs`: what was written, and no other token in its place."""
        return self._logprobs

    @property
    def reply(self) -> Reply:
        """See `ReplyStream.reply`."""
        if self._reply is None:
            raise UsageError("This stream has not ended; iterate it to the end or close it first.")
        return self._reply

    def cancel(self) -> None:
        """See `ReplyStream.cancel`."""
        self._cancelled = True

    def finish_thinking(self) -> bool:
        """See `ReplyStream.finish_thinking`."""
        under_way = self._is_thinking() and not self._finishing and not self.ended
        self._finishing = True
        return under_way

    def fail(self, error: Exception) -> None:
        """Raise this to whoever reads on, unless the reply has ended."""
        self._error, self._thinking, self._answer = error, [], []

    def close(self) -> None:
        """See `ReplyStream.close`."""
        self._end("cancelled")

    def drop(self) -> None:
        """See `ReplyStream.drop`."""
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_first"):
            self.close()

    def _step(self) -> None:
        """Give one token, or come to the end."""
        if self._cancelled:
            self._end("cancelled")
        elif self._cut_at is not None and self._is_thinking():
            self._land(self._cut_at)
        elif self._left() <= 0 and (self._is_thinking() or self._is_answering()):
            self._end("length")
        elif self._is_thinking():
            self._show(ThinkingDelta(self._thinking[self._thought]))
            self._thought += 1
        elif self._is_answering():
            self._say(self._answer[self._answered])
        elif self._error:
            error = self._error
            self._end("cancelled")
            self._unread = iter(())
            raise error
        else:
            self._end("stop")

    def _say(self, piece: str) -> None:
        """Give a token of the answer."""
        text = self._stops.feed(piece)
        self._answered += 1
        self._answer_chars += len(text)
        asked, token, logprob = self._options.logprobs, piece.encode(), self._written.logprob
        if asked is not None:
            top = ((token, logprob),)[:asked]
            self._logprobs.append(TokenLogprob(token, logprob, top, self._answer_chars))
        self._show(AnswerDelta(text))
        if self._stops.stopped:
            self._end("stop")

    def _is_thinking(self) -> bool:
        return self._landing is None and self._thought < len(self._thinking)

    def _is_answering(self) -> bool:
        return self._answered < len(self._answer)

    @property
    def _cut_at(self) -> ThinkingEnd | None:
        """Why the thought is over before its end, None if it is not."""
        if self._finishing:
            return "user"
        budget = self._settings.thinking_tokens
        return "budget" if budget is not None and self._thought >= budget else None

    def _land(self, end: ThinkingEnd) -> None:
        """End the thought with the landing, whose words are forced tokens."""
        landing = self._settings.landing.strip()
        forced = len(landing.split())
        if forced > self._left():
            self._end("length")
            return
        self._landing = end
        self._forced = forced
        if landing:
            self._show(ThinkingDelta(f"\n\n{landing}"))

    def _left(self) -> int:
        """How many tokens may still come."""
        left = self._room - self.tokens
        allowance = self._options.allowance
        return left if allowance is None else min(left, allowance())

    def _show(self, event: ThinkingDelta | AnswerDelta) -> None:
        if event.text:
            kind = "thinking" if isinstance(event, ThinkingDelta) else "answer"
            self._first.setdefault(kind, time.perf_counter() - self._began)
            self._said.append(event)

    def _end(self, reason: FinishReason) -> None:
        """End the reply here, if it has not ended."""
        if self._reply:
            return
        self._show(AnswerDelta(self._stops.flush()))
        reply = self._make_reply(reason)
        self._said.append(Done(reply))
        self._reply = reply

    def _make_reply(self, reason: FinishReason) -> Reply:
        answer = self._text(AnswerDelta)
        return Reply(
            model=self._model,
            thinking=self._text(ThinkingDelta),
            answer=answer,
            boxed=answers.boxed(answer),
            finish_reason=reason,
            thinking_end=self._thinking_end() if self._thinks else None,
            seed=self._seed,
            usage=Usage(self._prompt_tokens, 0, self._thought, self._answered, self._forced),
            timings=self._timings(),
            parsed=self._parsed(answer) if reason == "stop" else None,
            stop_text=self._stops.matched,
        )

    def _text(self, kind: type[ThinkingDelta | AnswerDelta]) -> str:
        return "".join(event.text for event in self._said if isinstance(event, kind))

    def _thinking_end(self) -> ThinkingEnd:
        if self._is_thinking():
            return "unclosed"
        if self._landing:
            return self._landing
        return self._written.thinking_end if self._thought else "skipped"

    def _parsed(self, answer: str) -> Any:
        """The typed value of a structured answer, None where it does not fit."""
        wanted, choices = constraint(self._settings), self._settings.choices
        if choices is not None and answer not in choices:
            return None
        try:
            return wanted.parse(answer) if wanted else None
        except ValueError:
            return None

    def _timings(self) -> Timings:
        total = time.perf_counter() - self._began
        first = min(self._first.values(), default=None)
        return Timings(0.0, first or 0.0, first, self._first.get("answer"), total, None)
