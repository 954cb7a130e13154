"""A second model that drafts for the loaded one, see `engine.draft_model`."""

from __future__ import annotations

from minireason.backends.context import open_context
from minireason.engine.base import Vocabulary
from minireason.engine.draft_model import ModelDrafter
from minireason.engine.model import Model
from minireason.engine.sampler import SamplerChain, links
from minireason.models.plan import FitPlan

_EVERY_PIECE = 97
"""Of the tokens that are not special one in so many is compared, in a few milliseconds."""


class DraftModel:
    """Its weights and its KV cache; `drafter` is the engine's."""

    def __init__(self, model: Model, plan: FitPlan) -> None:
        self._model = model
        self._context = open_context(model, plan)
        self._sampler = SamplerChain(links(0.0, 1.0, 1, 0))
        self.drafter = ModelDrafter(self._context, self._sampler, plan.n_ctx)

    def close(self) -> None:
        """Free the memory."""
        self._sampler.close()
        self._context.close()
        self._model.close()


def same_vocabulary(first: Vocabulary, second: Vocabulary) -> bool:
    """Whether ids mean the same in both: the special ones, and a sample of all others."""
    if (first.n_vocab, first.bos, first.eog) != (second.n_vocab, second.bos, second.eog):
        return False
    if first.special != second.special:
        return False
    sample = range(0, first.n_vocab, _EVERY_PIECE)
    return all(first.piece(token) == second.piece(token) for token in sample)
