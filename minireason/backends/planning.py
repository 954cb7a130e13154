"""What a reply is to be: its prompt, its settings with nothing left open, its budget."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from minireason.errors import BadSetting
from minireason.events import BOX
from minireason.messages import Message
from minireason.reasoning.begun import parted
from minireason.reasoning.budget import Budget, Limits
from minireason.reasoning.landing import Landing
from minireason.reasoning.loops import LoopDetector
from minireason.reasoning.prompt import Prompt, PromptEncoder
from minireason.reasoning.think import State
from minireason.settings import MAX_SEED, MAX_TOKENS, Settings


@dataclass(frozen=True, slots=True)
class ReplyPlan:
    """One reply: `settings` have a seed and `max_tokens`, `budget` ends its thought."""

    prompt: Prompt
    settings: Settings
    budget: Budget


class Planner:
    """Plans replies in a context of `n_ctx` tokens; `piece` gives the bytes of a token."""

    def __init__(self, encoder: PromptEncoder, piece: Callable[[int], bytes]) -> None:
        self._encoder, self._piece = encoder, piece

    def plan(self, messages: Sequence[Message], settings: Settings, n_ctx: int) -> ReplyPlan:
        """The plan of a reply to these messages; raises BadSetting, UsageError or ContextFull."""
        asked = settings.thinking_tokens
        prompt = self._encoder.encode(
            messages, thinking=asked != 0, opened=settings.structured, n_ctx=n_ctx
        )
        if prompt.begun_answer:
            settings.check_begun()
        thinks = prompt.start is not State.ANSWER
        question = parted(messages)[0][-1]["content"]
        landing = self._landing(settings, box=BOX in question)
        if thinks:
            self._check_budget(landing, settings.thinking_budget, len(prompt.ids), n_ctx)
        room = max(0, n_ctx - len(prompt.ids))
        max_tokens = settings.max_tokens or max(MAX_TOKENS, 2 * (asked or 0))
        landing, longest = landing.within(min(room, max_tokens), asked)
        if thinks and longest < 1:  # no room for any thought
            prompt = self._encoder.encode(messages, thinking=False)
        limits = Limits(
            longest if asked is None else min(asked, longest),
            settings.thinking_seconds,
            max(0, settings.min_thinking - len(self._encoder.text(prompt.begun))),
        )
        loops = LoopDetector(self._piece) if settings.loop_check else None
        before = prompt.begun.encode() or b"\n"
        budget = Budget(limits, landing, self._piece, loops, before)
        return ReplyPlan(prompt, _settled(settings, max_tokens), budget)

    def plan_raw(
        self, text: str, settings: Settings, n_ctx: int, *, parse_special: bool
    ) -> ReplyPlan:
        """The plan of what goes on from a raw prompt; raises UsageError or ContextFull."""
        prompt = self._encoder.encode_raw(text, parse_special=parse_special, n_ctx=n_ctx)
        budget = Budget(Limits(0), self._landing(settings), self._piece)
        return ReplyPlan(prompt, _settled(settings, settings.max_tokens or MAX_TOKENS), budget)

    def check(self, settings: Settings, prompt_tokens: int, n_ctx: int) -> None:
        """Raise BadSetting where a prompt of so many tokens leaves less thinking than asked for."""
        if self._encoder.thinks and settings.thinking_tokens != 0:
            landing = self._landing(settings)
            self._check_budget(landing, settings.thinking_budget, prompt_tokens, n_ctx)

    def _landing(self, settings: Settings, *, box: bool = False) -> Landing:
        return Landing(
            self._encoder.text,
            self._encoder.closing(after_line=True),
            settings.landing,
            opening=self._encoder.opening(),
            box=box,
        )

    def _check_budget(
        self, landing: Landing, thinking_budget: int | None, prompt_tokens: int, n_ctx: int
    ) -> None:
        if thinking_budget is None:
            return
        most = landing.without_message().within(max(0, n_ctx - prompt_tokens))[1]
        if thinking_budget > most:
            raise BadSetting(
                "thinking_budget",
                thinking_budget,
                f"beside the prompt and an answer the context of {n_ctx} tokens leaves "
                f"{max(0, most)} for thinking; ask for less, or load with a larger n_ctx",
                most=most,
            )


def _settled(settings: Settings, max_tokens: int) -> Settings:
    """The settings with nothing left open."""
    seed = random.randrange(MAX_SEED) if settings.seed is None else settings.seed
    return replace(settings, seed=seed, max_tokens=max_tokens)
