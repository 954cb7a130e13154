"""What enters the sequence of one reply next: sampled tokens, and those that are forced in between.

The controller is the engine's `TokenHandler`. It lets a token in, lands a thought that has to end,
rewinds a loop, refuses a tag that comes too early, opens an answer that is missing, and says when
the reply is over. What its reader gets is collected by `ReplyBuilder`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from minireason import answers
from minireason.engine.base import END, Mask, Step, Vocabulary, all_but
from minireason.errors import EngineError
from minireason.events import Event, FinishReason, ThinkingEnd
from minireason.reasoning.budget import Budget, Cut
from minireason.reasoning.prompt import Prompt
from minireason.reasoning.reply import ReplyBuilder
from minireason.reasoning.structured.follower import Follower
from minireason.reasoning.think import State, ThinkMachine
from minireason.settings import MAX_TOKENS, Settings

_NOTHING, _ENDED = -1, -2
"""Numbers of what is no draw: nothing yet, and the end that comes from outside."""


class _Decision(NamedTuple):
    """What was decided about a draw, and from where on which events it brought."""

    number: int
    step: Step
    start: int
    events: list[Event]


class Controller:
    """Decides about each token of one sequence.

    A token is taken whole or not at all: what is so before it is noted (`_begin`), one assignment
    makes what was decided count (`_commit`), and only then events are seen (`_publish`). If an
    interruption comes before that assignment, the next call goes back to what was noted; if it
    comes later, the next call publishes again.

    `allowance` says how many tokens may still come by what several replies share; None: they share
    nothing.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        prompt: Prompt,
        settings: Settings,
        budget: Budget,
        builder: ReplyBuilder,
        *,
        follower: Follower | None = None,
        allowance: Callable[[], int] | None = None,
    ) -> None:
        self.builder = builder
        self.error: EngineError | None = None
        self.cancelled = False
        self._vocabulary, self._prompt, self._budget = vocabulary, prompt, budget
        self._max_tokens = settings.max_tokens or MAX_TOKENS
        self._follower, self.allowance = follower, allowance
        self._machine = ThinkMachine(prompt.start, prompt.tags)
        self._tokens = prompt.ids[-1:]
        """What the sequence has from the last token of the prompt on."""
        self._landed: ThinkingEnd | None = None
        self._reopened = False
        self._reserves: dict[int, int] = {}
        self._decision = _Decision(_NOTHING, END, 0, [])
        self._before: tuple[int, tuple[Any, ...]] | None = None

    # What the engine asks: see `engine.base.TokenHandler`.

    @property
    def paused(self) -> bool:
        """Whether its reader leaves events lying, so that the sequence should sit out."""
        return self.builder.full

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
            self._commit(draw, self._apply(self._masked(self._step(token))))
        self._publish()
        return self._decision.step

    def reserved_tokens(self, n_ctx: int) -> int:
        """What a thought needs to land and an answer to follow, as far as max_tokens allows."""
        if self._machine.state is not State.THINKING:
            return 0
        if n_ctx not in self._reserves:
            room = n_ctx - len(self._prompt.ids)
            self._reserves[n_ctx] = room - self._budget.landing.within(room)[1]
        return min(self._reserves[n_ctx], self._room())

    def on_context_limit(self, n_ctx: int) -> None:
        """Let the thought land sooner."""
        self._roll_back()
        self._budget.limited_to(min(n_ctx - len(self._prompt.ids), self._max_tokens))

    def on_context_full(self) -> None:
        """End the reply."""
        self.finish("length")

    def on_removed(self) -> None:
        """End a reply that nobody wants to go on."""
        self.finish("cancelled")

    def on_error(self, error: EngineError) -> None:
        """Keep the error: the stream raises it to its reader, after the events that are there."""
        self.error = error

    def mask(self) -> Mask | None:
        """Which tokens may be sampled next; None: all."""
        if self._follower and self._machine.state is State.ANSWER:
            return self._follower.mask()
        return None

    # What the reader of the stream asks, from any thread or a signal handler but for `finish`.

    def cancel(self) -> None:
        """Let the reply end here."""
        self.cancelled = True

    def finish_thinking(self) -> bool:
        """Let the thought land now; False if none is under way, or it was asked for already."""
        thinking = self._machine.state is State.THINKING and self.builder.reply is None
        under_way = thinking and not self._budget.asked
        self._budget.asked = True
        return under_way

    def finish(self, reason: FinishReason) -> None:
        """End the reply here, if it has not ended."""
        self._publish()
        if self._decision.number != _ENDED and not self.builder.reply:
            self._begin(_ENDED)
            self._commit(_ENDED, self._finish(reason))
        self._publish()

    # A token is taken whole or not at all.

    def _begin(self, number: int) -> None:
        """Note what is so before a decision, after going back to it if one was cut off."""
        self._publish()
        self._roll_back()
        parts = self._machine.save(), self._budget.save(), self.builder.save()
        follower = self._follower.save() if self._follower else None
        flags = self._landed, self._reopened
        self._before = number, (parts, follower, flags, self._tokens, len(self._tokens))
        self.builder.begin()

    def _roll_back(self) -> None:
        if self._before is None or self._before[0] == self._decision.number:
            return
        parts, follower, flags, self._tokens, size = self._before[1]
        machine, budget, builder = parts
        self._machine.restore(machine)
        self._budget.restore(budget)
        self.builder.restore(builder)
        if self._follower:
            self._follower.restore(follower)
        self._landed, self._reopened = flags
        del self._tokens[size:]
        self._before = None

    def _commit(self, number: int, step: Step) -> None:
        self._decision = _Decision(number, step, *self.builder.added())

    def _publish(self) -> None:
        """Let what was decided be seen; twice is as good as once."""
        self.builder.publish(self._decision.start, self._decision.events)

    def _masked(self, step: Step) -> Step:
        """The step with the mask for the token after it."""
        if step.done or step.mask is not None:
            return step
        return replace(step, mask=self.mask())

    def _apply(self, step: Step) -> Step:
        """Note what the sequence will have after this step."""
        if step.drop:
            self._tokens = self._tokens[: -step.drop]  # the list noted before stays as it is
        self._tokens.extend(step.append)
        return step

    # The decisions.

    def _step(self, token: int) -> Step:
        if self.cancelled:
            return self._finish("cancelled")
        match self._machine.state:
            case State.BEFORE:
                return self._open(token)
            case State.THINKING:
                return self._think(token)
            case State.ANSWER if self._follower:
                return self._structure(self._follower, token)
            case _:
                return self._answer(token)

    def _open(self, token: int) -> Step:
        """A token before it is known whether there will be a thought: white space, or a tag.

        If that takes the whole budget, it is taken back, and the thought is written for the model.
        """
        if not self._budget.used_up:
            self._budget.feed_unopened()
            return self._answer(token)
        landing = self._budget.landing.whole()
        if len(landing) >= self._room():
            return self._finish("length")
        self._machine.drop_unfinished()
        return self._force_landing(Cut("budget", len(self._tokens) - 1), landing)

    def _think(self, token: int) -> Step:
        """A token sampled while thinking: it goes in, or the thought ends before it."""
        tag = self._machine.end_of_tag(self._vocabulary.piece(token))
        if tag or self._machine.closes(token):
            before = self._tag_tokens()
            if before is not None and self._budget.refuses(before):
                return self._refuse(token, before)
            return self._close(token, tag)
        if token in self._vocabulary.eog:
            return self._land(Cut("unclosed"))
        if cut := self._budget.cut(token, self._unfinished()[0]):
            return self._land(cut)
        self._budget.feed(token)
        return self._accept(token)

    def _tag_tokens(self) -> int | None:
        """How many of the last tokens are the beginning of a closing tag that is text.

        None if the first of them has other text in it.
        """
        count, text = self._unfinished()
        return count if text.strip() == self._machine.held.encode() else None

    def _unfinished(self) -> tuple[int, bytes]:
        """The last tokens of which a character or a tag is not whole: their number and bytes."""
        text, count, size = b"", 0, self._machine.unfinished_bytes
        while len(text) < size and count < len(self._tokens):
            count += 1
            text = self._vocabulary.piece(self._tokens[-count]) + text
        return count, text

    def _refuse(self, token: int, before: int) -> Step:
        """Take back a closing tag and have another token drawn for its first.

        So many of its tokens came `before` this one.
        """
        if not before:
            return self._again(token)
        first = self._tokens[-before]
        self._machine.drop_unfinished()
        self._budget.took_back(before)
        return self._again(first, before)

    def _close(self, token: int, tag: str = "") -> Step:
        """The model's own closing tag.

        A structured answer begins after the blank line that the model would write itself. Where
        the tag is text, `tag` is the end of it that this token brings, perhaps with more behind it.
        """
        if not self._follower:
            return self._accept(token)
        if tag and tag.encode() != self._vocabulary.piece(token):
            return self._put_in([], self._budget.landing.after_tag(tag))
        taken = self._accept(token)
        if taken.done:
            return taken
        return self._put_in(taken.append, self._budget.landing.after_tag())

    def _put_in(self, before: Sequence[int], forced: list[int]) -> Step:
        """Forced tokens after some that count already, where there is room for an answer too."""
        if self._room() <= len(forced):
            return self._finish("length")
        return Step([*before, *self._force(forced)])

    def _land(self, cut: Cut) -> Step:
        """End the thought before its time.

        What a loop repeated is forgotten, and what may have become a character or a closing tag;
        then message and closing tag are forced.
        """
        again: list[int] = []
        if cut.back and cut.end != "loop":
            _, text = self._unfinished()
            before = text[: len(text) - self._machine.unfinished_bytes]
            again = self._budget.landing.again(before.decode("utf-8", "replace"))
            self._machine.drop_unfinished()
        if cut.back:
            self._budget.took_back(cut.back)
        landing = self._budget.landing.ids(not again and self._budget.after_line())
        if len(again) + len(landing) >= self._room():
            return self._finish("length")
        self.builder.add(self._machine.cut())
        self.builder.count(forced=len(again))
        return self._force_landing(cut, landing, again)

    def _force_landing(self, cut: Cut, landing: list[int], again: Sequence[int] = ()) -> Step:
        """`again` are tokens whose text was shown already."""
        self._landed = cut.end
        forced = self._force(landing)
        self._machine.forced = True
        return Step([*again, *forced], cut.back)

    def _answer(self, token: int) -> Step:
        """A token sampled for the answer, or before it is known if there will be a thought."""
        if token in self._vocabulary.eog:
            opening = self._reopen()
            return Step(opening) if opening else self._finish("stop")
        if self._machine.closes_again(token):
            return self._again(token)
        return self._accept(token)

    def _accept(self, token: int) -> Step:
        if self._machine.state is State.ANSWER:
            self.builder.count(answer=1)
        else:
            self.builder.count(thinking=1)
        self._feed(token)
        if self.builder.stopped:
            return self._finish("stop")
        return self._go_on(token)

    def _structure(self, follower: Follower, token: int) -> Step:
        """A token of a structured answer, which ends where its grammar lets it and no sooner."""
        if token not in self._vocabulary.eog:
            self.builder.count(answer=1)
            self.builder.add_structured(follower.feed(token))
            if not follower.over:
                return self._go_on(token)
        return self._finish("stop" if follower.whole else "length")

    def _go_on(self, token: int) -> Step:
        return Step([token]) if self._room() > 0 else self._finish("length")

    def _reopen(self) -> list[int]:
        """Where an answer ended without saying anything, open the final one for the model; once."""
        text = self.builder.answer
        if self._reopened or not self._prompt.thinks or (text and not self._misses_box(text)):
            return []
        self._reopened = True
        self._machine.forced = True
        opening = self._budget.landing.reopening(after=bool(text))
        return self._force(opening) if self._room() > 2 * len(opening) else []

    def _misses_box(self, text: str) -> bool:
        wanted = self._landed is not None and self._budget.landing.box
        return wanted and answers.outright_answer(text) is None

    def _again(self, token: int, back: int = 0) -> Step:
        """Have a token drawn once more, the next one or one of the last, but not as this one.

        What stands before it is put in again.
        """
        mask = all_but(token, self._vocabulary.n_vocab)
        return Step([self._tokens[-1 - back]], drop=back + 1, mask=mask)

    def _force(self, tokens: list[int]) -> list[int]:
        self.builder.count(forced=len(tokens))
        for token in tokens:
            self._feed(token)
        return tokens

    def _feed(self, token: int) -> None:
        self.builder.add(self._machine.feed(token, self._vocabulary.piece(token)))

    def _room(self) -> int:
        """How many tokens may still come."""
        room = self._max_tokens - self.builder.tokens
        return room if self.allowance is None else min(room, self.allowance())

    def _finish(self, reason: FinishReason) -> Step:
        """Let out what was held back, and make the reply."""
        self.builder.add(self._machine.flush())
        self.builder.end(reason, self._thinking_end())
        return END

    def _thinking_end(self) -> ThinkingEnd | None:
        if not self._prompt.thinks:
            return None
        if self._prompt.start is State.ANSWER:
            return "skipped"
        if self._machine.state is not State.ANSWER:
            return "unclosed"
        if self._landed:
            return self._landed
        return "natural" if self._machine.closed and self._machine.thought else "skipped"
