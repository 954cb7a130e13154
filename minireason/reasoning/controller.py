"""The engine's `TokenHandler` for one reply: it answers the engine, and its rules decide.

What enters the sequence next is said by `rules.py`, and what the reader gets is collected by
`reply.py`. Here the two are held together, while an interruption may come at any line.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from minireason.engine.base import END, Step
from minireason.errors import EngineError
from minireason.events import FinishReason
from minireason.reasoning.reply import NOTHING_ADDED, Added, ReplyBuilder
from minireason.reasoning.rules import Rules

_NOTHING, _ENDED = -1, -2
"""Numbers of what is no draw: nothing yet, and the end that comes from outside."""


class _Decision(NamedTuple):
    """What was decided about a draw, and what it brought to the reader."""

    number: int
    step: Step
    added: Added


class Controller:
    """Takes each token of one sequence whole or not at all.

    What is so before a token is noted (`_begin`), one assignment makes what was decided count
    (`_commit`), and only then events are seen (`_publish`). If an interruption comes before that
    assignment, the next call goes back to what was noted; if it comes later, the next call
    publishes again.
    """

    def __init__(self, rules: Rules, builder: ReplyBuilder) -> None:
        self.builder = builder
        self.error: EngineError | None = None
        self.cancelled = False
        self._rules = rules
        self._decision = _Decision(_NOTHING, END, NOTHING_ADDED)
        self._before: tuple[int, tuple[Any, ...]] | None = None

    # What the engine asks: see `engine.base.TokenHandler`.

    def on_admit(self, cached_tokens: int) -> None:
        """Note how many tokens of the prompt need not be read."""
        self.builder.cached_tokens = cached_tokens

    def on_token(self, token: int, draw: int) -> Step:
        """What becomes of the sequence after the sampled token number `draw`."""
        if self.builder.reply:
            return END
        if self._decision.number != draw:
            self._begin(draw)
            self.builder.note_sampled()
            ends = self.cancelled
            self._commit(draw, self._rules.finish("cancelled") if ends else self._rules.step(token))
        self._publish()
        return self._decision.step

    def reserved_tokens(self, n_ctx: int) -> int:
        """What a thought needs to land and an answer to follow."""
        return self._rules.reserved_tokens(n_ctx)

    def on_context_limit(self, n_ctx: int) -> None:
        """Let the thought land sooner."""
        self._roll_back()
        self._rules.limit_context(n_ctx)

    def on_context_full(self) -> None:
        """End the reply."""
        self.finish("length")

    def on_removed(self) -> None:
        """End a reply that nobody wants to go on."""
        self.finish("cancelled")

    def on_error(self, error: EngineError) -> None:
        """Keep the error: the stream raises it to its reader, after the events that are there."""
        self.error = error

    # What the reader of the stream asks, from any thread or a signal handler but for `finish`.

    def cancel(self) -> None:
        """Let the reply end here."""
        self.cancelled = True

    def finish_thinking(self) -> bool:
        """Let the thought land now; False if none is under way, or it was asked for already."""
        return self._rules.finish_thinking() and self.builder.reply is None

    def finish(self, reason: FinishReason) -> None:
        """End the reply here, if it has not ended."""
        self._publish()
        if self._decision.number != _ENDED and not self.builder.reply:
            self._begin(_ENDED)
            self._commit(_ENDED, self._rules.finish(reason))
        self._publish()

    # A token is taken whole or not at all.

    def _begin(self, number: int) -> None:
        """Note what is so before a decision, after going back to it if one was cut off."""
        self._publish()
        self._roll_back()
        self._before = number, self._rules.save()
        self.builder.begin()

    def _roll_back(self) -> None:
        """Go back to before a decision that was begun and does not count."""
        if self._before is not None and self._before[0] != self._decision.number:
            self._rules.restore(self._before[1])
            self._before = None

    def _commit(self, number: int, step: Step) -> None:
        """Let what was decided count."""
        self._decision = _Decision(number, step, self.builder.added())

    def _publish(self) -> None:
        """Let what was decided be seen; twice is as good as once."""
        self.builder.publish(self._decision.added)
