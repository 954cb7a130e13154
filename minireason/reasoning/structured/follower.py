"""Hold one answer to its grammar, token by token: mask the logits, follow, parse the whole text."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from minireason.engine.base import Mask, Vocabulary
from minireason.errors import UsageError
from minireason.reasoning.encoding import encode_text
from minireason.reasoning.structured.grammar import Constraint
from minireason.reasoning.structured.values import summary
from minireason.reasoning.text import Utf8

if TYPE_CHECKING:
    from llguidance import LLMatcher


class Tokenizer:
    """llguidance's view of a vocabulary, in which no special token can be part of an answer.

    Made once for a model: it takes half a second for 152k tokens.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        from llguidance import LLTokenizer, TokenizerWrapper

        self.vocabulary = vocabulary
        self.view = LLTokenizer(
            TokenizerWrapper(_Tokens(vocabulary)), eos_token=sorted(vocabulary.eog)
        )


class _Tokens:
    """A vocabulary as llguidance's TokenizerWrapper wants it."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.special_token_ids: Collection[int] = sorted(
            {*vocabulary.special.values(), *vocabulary.eog}
        )
        self.eos_token_id, self.bos_token_id = min(vocabulary.eog), None
        special = frozenset(self.special_token_ids)
        mark = b"\xff"  # at the beginning of a token it makes it a special one
        self.tokens = [
            (mark if token in special else b"") + vocabulary.piece(token)
            for token in range(vocabulary.n_vocab)
        ]
        self._vocabulary = vocabulary

    def __call__(self, text: bytes | str) -> list[int]:
        """The ids of what a grammar leaves no choice about.

        Constants of a schema for one, which are text from outside.
        """
        plain = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        return encode_text(self._vocabulary, plain)


class Follower:
    """Holds one answer to its constraint, token by token."""

    def __init__(self, constraint: Constraint, tokenizer: Tokenizer) -> None:
        import numpy as np

        self._constraint, self._tokenizer = constraint, tokenizer
        self._fed: list[int] = []
        self._matcher: LLMatcher | None = None
        self._bits = np.zeros(-(-tokenizer.vocabulary.n_vocab // 32), np.int32)
        self._utf8 = Utf8()
        self.text = ""

    def _following(self) -> LLMatcher:
        """The matcher, which has followed the tokens so far.

        It is made again after an error, since llguidance takes an interruption in the tokenizer,
        which it calls, for one of the grammar; a real one comes again.
        """
        from llguidance import LLMatcher

        if self._matcher is None or self._matcher.is_error():
            matcher = LLMatcher(self._tokenizer.view, self._constraint.grammar, log_level=0)
            for token in self._fed:
                matcher.consume_token(token)
            self._matcher = matcher
        return self._matcher

    def save(self) -> tuple[Any, ...]:
        """What `restore` takes."""
        return len(self._fed), self.text, self._utf8.save()

    def restore(self, saved: tuple[Any, ...]) -> None:
        """Go back to what was so when this was saved, by following the same tokens again."""
        size, self.text, utf8 = saved
        self._utf8.restore(utf8)
        self._matcher = None
        del self._fed[size:]

    def mask(self) -> Mask:
        """The tokens that can come now, the end of the text perhaps among them."""
        place = self._bits.ctypes.data, self._bits.nbytes
        self._following().unsafe_compute_mask_ptr(*place)
        if self._matcher and self._matcher.is_error():
            self._following().unsafe_compute_mask_ptr(*place)
        return self._bits.copy()

    def feed(self, token: int) -> str:
        """The text that a token of the answer completes."""
        matcher = self._following()
        matcher.consume_token(token)
        self._fed.append(token)
        if self._following().is_error():
            return ""
        text = self._utf8.feed(self._tokenizer.vocabulary.piece(token))
        self.text += text
        return text

    @property
    def over(self) -> bool:
        """Whether nothing can follow.

        The answer is whole, or llguidance gave up on a grammar that grew too complex on the way.
        """
        return self._following().is_stopped()

    @property
    def whole(self) -> bool:
        """Whether the answer may end here."""
        matcher = self._following()
        return not matcher.is_error() and matcher.is_accepting()

    def parsed(self) -> Any:
        """The typed value of a whole answer.

        None if it fails what no grammar can say, such as a check of a pydantic model's own. Runs
        the caller's own code, so not under a lock; raises UsageError if that fails with anything
        but ValueError.
        """
        try:
            return self._constraint.parse(self.text)
        except (ValueError, RecursionError):
            return None
        except Exception as error:  # the caller's own code may raise anything
            raise UsageError(
                f"The schema's own code failed on the answer ({summary(error)}); "
                "a check that an answer does not pass has to raise ValueError. The answer itself "
                "is in the stream's reply."
            ) from error
