"""The parts of a planned reply put together: what the engine runs, what decides, what is told."""

from __future__ import annotations

import functools
from array import array
from collections.abc import Callable

from minireason.backends.base import StreamOptions
from minireason.backends.planning import ReplyPlan
from minireason.backends.stream import Stream
from minireason.engine import sampler
from minireason.engine import sequence as engine
from minireason.engine.base import Drafter, Mask, Vocabulary
from minireason.engine.drafting import DraftCount
from minireason.engine.logprobs import RawLogits
from minireason.engine.scheduler import Scheduler
from minireason.reasoning.controller import Controller
from minireason.reasoning.logprobs import teller
from minireason.reasoning.reply import ReplyBuilder
from minireason.reasoning.rules import Rules
from minireason.reasoning.structured.follower import Follower, Tokenizer
from minireason.reasoning.structured.grammar import Constraint

UNREAD_TOKENS = 256
"""A stream that nobody reads sits out after so many tokens."""


class Assembly:
    """Makes the streams of the model called `name`, which was loaded in `load_s`."""

    def __init__(
        self, name: str, vocabulary: Vocabulary, scheduler: Scheduler, load_s: float
    ) -> None:
        self._name, self._vocabulary = name, vocabulary
        self._scheduler, self._load_s = scheduler, load_s

    def stream(
        self,
        plan: ReplyPlan,
        wanted: Constraint | None,
        options: StreamOptions,
        new_drafter: Callable[[int], Drafter] | None,
    ) -> Stream:
        """Open the stream of what is planned; raises ContextFull.

        For `new_drafter` see `LocalBackend`.
        """
        settings = plan.settings
        follower = Follower(wanted, self._tokenizer) if wanted else None
        drafts = DraftCount()
        raw = None if options.logprobs is None else RawLogits(options.logprobs)
        builder = ReplyBuilder(
            self._name,
            plan.prompt,
            settings,
            load_s=self._load_s,
            parse=follower.parsed if follower else None,
            drafts=drafts,
            tell_logprob=teller(raw, self._vocabulary.piece) if raw else None,
        )
        rules = Rules(
            self._vocabulary,
            plan.prompt,
            settings,
            plan.budget,
            builder,
            follower=follower,
            allowance=options.allowance,
        )
        controller = Controller(rules, builder)
        sequence = _sequence(plan, controller, rules.mask(), options)
        sequence.drafts, sequence.raw_logits = drafts, raw
        sequence.confidences = array("f") if options.watch_confidence else None
        if new_drafter:
            sequence.drafter = new_drafter(len(plan.prompt.ids))
        return Stream(self._scheduler, sequence, controller, options.on_prefill)

    @functools.cached_property
    def _tokenizer(self) -> Tokenizer:
        return Tokenizer(self._vocabulary)


def _sequence(
    plan: ReplyPlan, controller: Controller, mask: Mask | None, options: StreamOptions
) -> engine.Sequence:
    """What the engine runs for a reply; `mask` says which tokens may be sampled first."""
    settings = plan.settings
    links = sampler.links(settings.temperature, settings.top_p, settings.top_k, settings.seed or 0)
    return engine.Sequence(
        plan.prompt.ids,
        sampler.SamplerChain(links),
        controller,
        # After a thought the next prompt has the answer alone, so it cannot go on from there.
        cache_reply=options.cache_reply and not plan.prompt.thinks,
        cache_scope=options.cache_scope,
        mask=mask,
        unread_limit=UNREAD_TOKENS,
    )
