"""The engine's protocols: what it needs of llama.cpp, and what it asks of those who use it.

Whoever stands above the engine imports these names and no others of what the scheduler works with.
"""

from __future__ import annotations

from collections.abc import Sequence as Tokens
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from minireason.engine.room import CacheShape
from minireason.errors import EngineError

if TYPE_CHECKING:  # numpy is loaded with a model, not by who only names these
    import numpy as np
    import numpy.typing as npt

Mask: TypeAlias = "npt.NDArray[np.int32]"
"""Which tokens may be sampled: a bit for each id, the lowest of the first word for id 0."""


class Vocabulary(Protocol):
    """Text to token ids and back; see `engine.vocabulary.ModelVocabulary`."""

    @property
    def n_vocab(self) -> int:
        """How many token ids there are."""
        ...

    @property
    def bos(self) -> int | None:
        """The id that starts a text, if this vocabulary wants one."""
        ...

    @property
    def eog(self) -> frozenset[int]:
        """Ids that end a generation."""
        ...

    @property
    def special(self) -> dict[str, int]:
        """Literal text -> id of every control, user-defined and unknown token."""
        ...

    def tokenize(self, text: str, *, parse_special: bool) -> list[int]:
        """Token ids of a text without added bos; `parse_special`: literals become their tokens."""
        ...

    def piece(self, token: int) -> bytes:
        """The bytes that a token stands for, special tokens as their literal."""
        ...


def all_but(token: int, n_vocab: int) -> Mask:
    """Make a mask that forbids one token."""
    import numpy as np

    mask = np.full(-(-n_vocab // 32), -1, np.int32)
    mask.view(np.uint8)[token // 8] ^= 1 << token % 8
    return mask


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of a sequence after a sampled token.

    It is rewound by `drop` tokens, and those to `append` come. `append` holds at least one token,
    unless the sequence is `done`, which ends it here. `mask` says which tokens may be sampled
    next; None: all.
    """

    append: Tokens[int]
    drop: int = 0
    done: bool = False
    mask: Mask | None = field(default=None, compare=False)


END = Step((), done=True)
"""The sequence ends without the sampled token."""


class TokenHandler(Protocol):
    """What stands above the engine and decides about each token of one sequence.

    All of it is called under the scheduler's lock, which is not re-entrant: what calls the
    scheduler back gets UsageError.
    """

    def on_admit(self, cached_tokens: int) -> None:
        """Note that the sequence has got a slot, where so many tokens of its prompt are cached.

        Told again when it gets another slot later on; the number never grows.
        """
        ...

    def on_token(self, token: int, draw: int) -> Step:
        """Decide what becomes of the sequence after the sampled token number `draw`, from 0 on.

        Called again with the same number, after an interruption here or later on, it gives the
        same answer and counts once.
        """
        ...

    def reserved_tokens(self, n_ctx: int) -> int:
        """Count the tokens of a context of `n_ctx` that have to stay free for a good end."""
        ...

    def on_context_limit(self, n_ctx: int) -> None:
        """Note that there is no memory for a larger context than this, less than was promised.

        May be called more than once.
        """
        ...

    def on_context_full(self) -> None:
        """Note that the context is full; the sequence has ended."""
        ...

    def on_removed(self) -> None:
        """Note that whoever uses the sequence took it out; it may have ended before."""
        ...

    def on_error(self, error: EngineError) -> None:
        """Note that the sequence has ended without coming to its end, and why."""
        ...


Sampler: TypeAlias = Any
"""What draws the tokens of a sequence; only the runner that draws with it looks inside."""

SavedState: TypeAlias = Any
"""What a slot held, in the machine's own memory; only the runner that saved it looks inside."""


class Drafter(Protocol):
    """Guesses the next tokens of a sequence, to be checked; see `engine.drafting`.

    A wrong guess costs time and changes no text. `tokens` is always the whole sequence.
    """

    def chances(self, tokens: list[int], most: int) -> list[float]:
        """Tell of each of at most `most` tokens how likely it is right if those before it are.

        Empty where nothing can be drafted.
        """
        ...

    def propose(self, tokens: list[int], count: int) -> list[int]:
        """Draft at most so many tokens that may follow."""
        ...

    def accept(self, count: int) -> None:
        """Note how many of the last draft were right."""
        ...

    def rewind(self, keep: int) -> None:
        """Note that the sequence is cut to its first `keep` tokens; twice is as good as once."""
        ...

    def reset(self) -> None:
        """Forget the sequence."""
        ...


class Batch(NamedTuple):
    """What one decode computes, a value a token; slots come in rising order."""

    tokens: list[int]
    positions: list[int]
    slots: list[int]
    outputs: list[bool]
    """Whether there are logits after a token."""

    @classmethod
    def of_slot(cls, slot: int, tokens: list[int], start: int, *, output: bool = True) -> Batch:
        """Tokens of one slot from a position on; with `output` there are logits after the last."""
        count = len(tokens)
        positions = list(range(start, start + count))
        return cls(tokens, positions, [slot] * count, [*[False] * (count - 1), output])

    def check(self, n_batch: int, shape: CacheShape) -> None:
        """Raise ValueError for what would abort inside llama.cpp."""
        if (
            not 0 < len(self.tokens) <= min(n_batch, shape.tokens)
            or sum(self.outputs) > shape.n_outputs
            or not all(0 <= slot < shape.n_slots for slot in self.slots)
            or not all(0 <= position < shape.slot_tokens for position in self.positions)
        ):
            raise ValueError("a batch that would abort inside llama.cpp")


class ModelRunner(Protocol):
    """What the scheduler needs of llama.cpp; see `engine.context.Context`.

    It has `n_slots` slots, each a KV cache of its own for `slot_tokens` tokens. A batch has at most
    `n_batch` tokens and `n_outputs` rows of logits, which is at least a row a slot. From
    `wide_tokens` tokens in a batch on, attention over a long prefix takes a faster way; 0: never.
    """

    n_slots: int
    slot_tokens: int
    n_batch: int
    n_outputs: int
    wide_tokens: int

    def decode(self, batch: Batch) -> bool:
        """Compute a batch.

        False where `stop` ended it: slots may then hold some of these tokens, which nobody knows of
        before they are trimmed.
        """
        ...

    def stop(self) -> None:
        """Let the decode that runs end soon; called from any thread. Without one nothing happens,
        or the next one ends early."""
        ...

    def sample(self, sampler: Sampler, row: int, draw: int, mask: Mask | None) -> int:
        """Draw token number `draw` of a sampler from a row of the last batch, as `mask` allows.

        Asked again for the last one it gives the same and draws nothing. Raises LogitsNotFinite.
        """
        ...

    def confidence(self, row: int) -> float:
        """Tell how sure the model is of the token after a row; raises LogitsNotFinite."""
        ...

    def logits(self, row: int) -> npt.NDArray[np.float32]:
        """Copy what the model gave after a row, before anything is sampled from it.

        Raises LogitsNotFinite.
        """
        ...

    def trim(self, slot: int, keep: int) -> None:
        """Forget a slot's positions from `keep` on."""
        ...

    def save(self, slot: int) -> SavedState:
        """Copy what a slot holds out of the cache."""
        ...

    def restore(self, slot: int, state: SavedState) -> None:
        """Let an empty slot hold what was saved, of whatever slot; raises EngineError."""
        ...

    def resize(self, n_slots: int, slot_tokens: int) -> bool:
        """Move the content of the first `n_slots` slots into a cache of another shape.

        The memory of all others is given back, and what slots held once and hold no more is wiped.
        False if there is no memory for it; then the shape is as before.
        """
        ...

    def finish_resize(self) -> bool:
        """Finish a `resize` that was interrupted; False if what was in the cache is lost."""
        ...

    def clear(self) -> None:
        """Forget all slots, and wipe their cells."""
        ...

    def close(self) -> None:
        """Free the cache; nothing but `trim` works afterwards."""
        ...
