"""The stream of a scripted reply; the rules that it follows are in `backends.scripted`."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from minireason.backends.base import StreamOptions
from minireason.backends.collected import Collected, parsing
from minireason.backends.scripted_reply import ScriptedReply, pieces
from minireason.closing import Closing
from minireason.errors import UsageError
from minireason.events import Event, FinishReason, Reply, ThinkingEnd, TokenLogprob, Usage
from minireason.reasoning.think import Label
from minireason.settings import MAX_SEED, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedPrompt:
    """What a written reply goes on from."""

    tokens: int
    """How many it has."""

    room: int
    """How many tokens may come after it."""

    thinks: bool
    """Whether the model would think here; else the reply tells of no thought."""

    in_answer: bool
    """Whether the answer is begun, so that no thought comes."""


class ScriptedStream(Iterator[Event], Closing):
    """One written reply, a token at a time."""

    def __init__(
        self,
        model: str,
        written: ScriptedReply,
        settings: Settings,
        options: StreamOptions,
        prompt: ScriptedPrompt,
    ) -> None:
        self._settings, self._options, self._prompt = settings, options, prompt
        self._written, self._error = written, written.error
        thinking = prompt.thinks and not prompt.in_answer and settings.thinking_tokens != 0
        self._thinking = pieces(written.thinking) if thinking else []
        self._answer = pieces(written.answer)
        self._landing: ThinkingEnd | None = None
        self._thought = self._answered = self._forced = 0
        self._logprobs: list[TokenLogprob] = []
        self._iterated = self._cancelled = self._finishing = False
        seed = random.randrange(MAX_SEED) if settings.seed is None else settings.seed
        self._collected = Collected(model, settings, seed, parsing(settings))

    def __iter__(self) -> ScriptedStream:
        if self._iterated:
            raise UsageError("This stream has been iterated already; ask again for another reply.")
        self._iterated = True
        return self

    def __next__(self) -> Event:
        while not self._collected.waiting:
            if self.ended:
                raise StopIteration
            self._step()
        return self._collected.read()

    def poll(self) -> list[Event]:
        """See `ReplyStream.poll`."""
        if not self._collected.waiting and not self.ended:
            self._step()
        return self._collected.read_all()

    @property
    def ready(self) -> bool:
        """See `KnowsWhenReady.ready`: no model runs."""
        return True

    @property
    def ended(self) -> bool:
        """See `ReplyStream.ended`."""
        return self._collected.ended

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
        return self._collected.reply

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
        if hasattr(self, "_collected"):
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
            self._collected.add((Label.THINKING, self._thinking[self._thought]))
            self._thought += 1
        elif self._is_answering():
            self._say(self._answer[self._answered])
        elif self._error:
            self._end("cancelled")
            self._collected.drop_unread()
            raise self._error
        else:
            self._end("stop")

    def _say(self, piece: str) -> None:
        """Give a token of the answer."""
        collected = self._collected
        collected.add((Label.ANSWER, piece))
        self._answered += 1
        asked, token, logprob = self._options.logprobs, piece.encode(), self._written.logprob
        if asked is not None:
            top = ((token, logprob),)[:asked]
            self._logprobs.append(TokenLogprob(token, logprob, top, collected.answer_chars))
        if collected.stopped:
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
            self._collected.add((Label.THINKING, f"\n\n{landing}"))

    def _left(self) -> int:
        """How many tokens may still come."""
        left = self._prompt.room - self.tokens
        allowance = self._options.allowance
        return left if allowance is None else min(left, allowance())

    def _end(self, reason: FinishReason) -> None:
        """End the reply here, if it has not ended."""
        if self.ended:
            return
        thinking_end = self._thinking_end() if self._prompt.thinks else None
        usage = Usage(self._prompt.tokens, 0, self._thought, self._answered, self._forced)
        timings = replace(self._collected.timings(usage), tokens_per_s=None)  # of no model
        self._collected.end(reason, thinking_end, usage, timings)

    def _thinking_end(self) -> ThinkingEnd:
        if self._is_thinking():
            return "unclosed"
        if self._landing:
            return self._landing
        return self._written.thinking_end if self._thought else "skipped"
