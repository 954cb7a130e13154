"""The rules of one reply: what enters its sequence after a sampled token.

The token goes in, or a thought that has to end lands, a loop is rewound, a tag that comes too early
is refused, an answer that is missing is opened, or the reply is over. What its reader gets is
collected by `ReplyBuilder`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from minireason.engine.base import END, Mask, Step, Vocabulary, all_but
from minireason.events import FinishReason, ThinkingEnd
from minireason.reasoning.budget import Budget, Cut
from minireason.reasoning.prompt import Prompt, machine_after
from minireason.reasoning.reply import ReplyBuilder
from minireason.reasoning.structured.follower import Follower
from minireason.reasoning.tail import Tail
from minireason.reasoning.think import State
from minireason.settings import MAX_TOKENS, Settings


class Rules:
    """Decides about each token of one sequence.

    `restore` goes back to what `save` noted. `allowance` says how many tokens may still come by
    what several replies share; None: they share nothing.
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
        self._vocabulary, self._prompt, self._budget = vocabulary, prompt, budget
        self._max_tokens = settings.max_tokens or MAX_TOKENS
        self._builder, self._follower, self._allowance = builder, follower, allowance
        self._machine = machine_after(prompt)
        self._tail = Tail(vocabulary, prompt.ids)
        self._landed: ThinkingEnd | None = None
        self._reopened = False
        self._reserves: dict[int, int] = {}

    def finish_thinking(self) -> bool:
        """Let the thought land now; False if none is under way, or it was asked for already."""
        under_way = self._machine.state is State.THINKING and not self._budget.asked
        self._budget.asked = True
        return under_way

    def save(self) -> tuple[Any, ...]:
        """What `restore` takes."""
        parts = self._machine.save(), self._budget.save(), self._builder.save()
        follower = self._follower.save() if self._follower else None
        flags = self._landed, self._reopened
        return parts, follower, flags, self._tail.save()

    def restore(self, saved: tuple[Any, ...]) -> None:
        """Go back to what was so when this was saved."""
        parts, follower, flags, tail = saved
        machine, budget, builder = parts
        self._machine.restore(machine)
        self._budget.restore(budget)
        self._builder.restore(builder)
        if self._follower:
            self._follower.restore(follower)
        self._landed, self._reopened = flags
        self._tail.restore(tail)

    def reserved_tokens(self, n_ctx: int) -> int:
        """What a thought needs to land and an answer to follow, as far as max_tokens allows."""
        if self._machine.state is not State.THINKING:
            return 0
        if n_ctx not in self._reserves:
            room = n_ctx - len(self._prompt.ids)
            self._reserves[n_ctx] = room - self._budget.landing.within(room)[1]
        return min(self._reserves[n_ctx], self._room())

    def limit_context(self, n_ctx: int) -> None:
        """Let the thought land sooner, in a context of `n_ctx` tokens."""
        self._budget.limited_to(min(n_ctx - len(self._prompt.ids), self._max_tokens))

    def mask(self) -> Mask | None:
        """Which tokens may be sampled next; None: all."""
        if self._follower and self._machine.state is State.ANSWER:
            return self._follower.mask()
        return None

    def step(self, token: int) -> Step:
        """What becomes of the sequence after a sampled token."""
        # Other replies may have taken what is shared since the last step. An end costs nothing.
        may_come = self._room() > 0 or token in self._vocabulary.eog
        step = self._decide(token) if may_come else self.finish("length")
        self._tail.apply(step)
        mask = None if step.done or step.mask is not None else self.mask()
        return step if mask is None else replace(step, mask=mask)

    def finish(self, reason: FinishReason) -> Step:
        """End the reply here: let out what was held back, and make it."""
        self._builder.add(self._machine.flush())
        self._builder.end(reason, self._thinking_end())
        return END

    def _decide(self, token: int) -> Step:
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

        If that takes the whole budget, it is rewound, and the thought is written for the model.
        """
        if not self._budget.used_up:
            self._budget.feed_unopened()
            return self._answer(token)
        landing = self._budget.landing.whole()
        if len(landing) >= self._room():
            return self.finish("length")
        self._machine.drop_unfinished()
        self._builder.drop_undecided()
        return self._force_landing(Cut("budget", len(self._tail)), landing)

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
        return self._tail.ending(self._machine.unfinished_bytes)

    def _refuse(self, token: int, before: int) -> Step:
        """Rewind a closing tag and have another token drawn for its first.

        So many of its tokens came `before` this one.
        """
        if not before:
            return self._again(token)
        first = self._tail.last(before - 1)
        self._machine.drop_unfinished()
        self._budget.rewind(before)
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
            return self.finish("length")
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
            self._budget.rewind(cut.back)
        landing = self._budget.landing.ids(not again and self._budget.after_line())
        if len(again) + len(landing) >= self._room():
            return self.finish("length")
        self._builder.add(self._machine.cut())
        self._builder.count(forced=len(again))
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
            return Step(opening) if opening else self.finish("stop")
        if self._machine.closes_again(token):
            return self._again(token)
        return self._accept(token)

    def _accept(self, token: int) -> Step:
        before = self._machine.state
        if before is State.ANSWER:
            self._builder.count(answer=1)
        else:
            self._builder.count(thinking=1)
        self._feed(token)
        if before is not State.THINKING:
            self._builder.note_logprob(token, self._machine.state)
        if self._builder.stopped:
            return self.finish("stop")
        return self._go_on(token)

    def _structure(self, follower: Follower, token: int) -> Step:
        """A token of a structured answer, which ends where its grammar lets it and no sooner."""
        if token not in self._vocabulary.eog:
            self._builder.count(answer=1)
            self._builder.add_structured(follower.feed(token))
            self._builder.note_logprob(token, State.ANSWER)
            if not follower.over:
                return self._go_on(token)
        return self.finish("stop" if follower.whole else "length")

    def _go_on(self, token: int) -> Step:
        return Step([token]) if self._room() > 0 else self.finish("length")

    def _reopen(self) -> list[int]:
        """Where an answer ended without saying anything, open the final one for the model; once."""
        text = self._builder.answer
        if self._reopened or not self._prompt.thinks or self._prompt.begun_answer.strip():
            return []
        if text and not self._misses_box(text):
            return []
        self._reopened = True
        self._machine.forced = True
        opening = self._budget.landing.reopening(after=bool(text))
        return self._force(opening) if self._room() > 2 * len(opening) else []

    def _misses_box(self, text: str) -> bool:
        from minireason.answers import outright_answer  # as in reply.py

        wanted = self._landed is not None and self._budget.landing.box
        return wanted and outright_answer(text) is None

    def _again(self, token: int, back: int = 0) -> Step:
        """Have a token drawn once more, the next one or one of the last, but not as this one.

        What stands before it is put in again.
        """
        mask = all_but(token, self._vocabulary.n_vocab)
        return Step([self._tail.last(back)], drop=back + 1, mask=mask)

    def _force(self, tokens: list[int]) -> list[int]:
        self._builder.count(forced=len(tokens))
        for token in tokens:
            self._feed(token)
        return tokens

    def _feed(self, token: int) -> None:
        self._builder.add(self._machine.feed(token, self._vocabulary.piece(token)))

    def _room(self) -> int:
        """How many tokens may still come."""
        room = self._max_tokens - self._builder.tokens
        return room if self._allowance is None else min(room, self._allowance())

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
