"""Drafts from what a sequence itself holds: what followed when its last tokens came before.

Prompt lookup decoding (github.com/apoorvumang/prompt-lookup-decoding), with the longest match
instead of a fixed one. A reply that restates code, edits a file or goes on with a list says again
what stands in the prompt or what it said before.
"""

from __future__ import annotations

from dataclasses import dataclass

from minireason.engine.acceptance import Acceptance

MIN_MATCH_TOKENS = 3
"""So many of the last tokens have to have come before, in this order."""

COMPARED_TOKENS = 64
"""A match is not followed further back than this; what is as long is all but sure."""

CANDIDATES = 16
"""So many of the places where the last tokens came before are compared, the latest first."""

CATCH_UP_TOKENS = 512
"""So many tokens of a prompt are indexed at a time (0.5 ms), so that no step is held up."""


@dataclass(slots=True)
class DraftCount:
    """How many tokens were drafted for a sequence, and how many of them were right."""

    drafted: int = 0
    accepted: int = 0


class LookupDrafter:
    """Proposes what followed the longest match of the last tokens; an `engine.base.Drafter`.

    It follows one sequence: tokens are indexed as they come, each in the same time however many
    there are. While the match goes on it is followed, and each token tells whether what followed
    there came here too, be it drafted or not. So the chance of a draft is known before one is paid
    for. Tokens of the prompt, the first `prompt_tokens`, do not tell.

    An interruption at any line leaves an index that at worst misses a place.
    """

    def __init__(self, prompt_tokens: int = 0, candidates: int = CANDIDATES) -> None:
        self._prompt_tokens, self._candidates = prompt_tokens, candidates
        self._tokens: list[int] = []
        self._before: list[int] = []
        """For each token where the last three up to it ended before, -1 for nowhere."""
        self._latest: dict[int, int] = {}
        """Three tokens -> where they ended last."""
        self._match = 0, 0
        self._acceptance = Acceptance()

    @property
    def match(self) -> tuple[int, int]:
        """Where the longest match of the last tokens ends, and its length; length 0: none."""
        return self._match

    def chances(self, tokens: list[int], most: int) -> list[float]:
        """See `base.Drafter`."""
        self._follow(tokens)
        length = self._match[1]
        if not length or len(self._tokens) < len(tokens):
            return []
        return [self._acceptance.chance(length + ahead) for ahead in range(most)]

    def propose(self, tokens: list[int], count: int) -> list[int]:
        """See `base.Drafter`; a repetition shorter than `count` is drafted more than once."""
        self._follow(tokens)
        end, length = self._match
        if not length or len(self._tokens) < len(tokens):
            return []
        period = len(self._tokens) - 1 - end
        return [self._tokens[end + 1 + ahead % period] for ahead in range(count)]

    def accept(self, count: int) -> None:
        """See `base.Drafter`; what came tells it the same."""

    def rewind(self, keep: int) -> None:
        """See `base.Drafter`."""
        while len(self._before) > keep:
            last = len(self._before) - 1
            if last >= MIN_MATCH_TOKENS - 1:
                self._forget(self._key(last), self._before[last])
            self._before.pop()
        del self._tokens[keep:]
        self._match = self._longest() if self._before else (0, 0)

    def reset(self) -> None:
        """See `base.Drafter`."""
        self.rewind(0)

    def _follow(self, tokens: list[int]) -> None:
        """Index the tokens that are new."""
        if len(tokens) < len(self._tokens) or len(self._before) != len(self._tokens):
            self.rewind(min(len(tokens), len(self._before)))
        known = len(self._tokens)
        for token in tokens[known : known + CATCH_UP_TOKENS]:
            self._add(token)

    def _add(self, token: int) -> None:
        end, length = self._match
        if length:
            goes_on = self._tokens[end + 1] == token
            if len(self._tokens) >= self._prompt_tokens:
                self._acceptance.note(length, goes_on)
            end, length = (end + 1, length + 1) if goes_on else (0, 0)
        self._tokens.append(token)
        last = len(self._tokens) - 1
        if last < MIN_MATCH_TOKENS - 1:
            self._before.append(-1)
            return
        key = self._key(last)
        # The link comes first: cut off between the two, a place is missed and none is wrong.
        self._before.append(self._latest.get(key, -1))
        self._latest[key] = last
        self._match = (end, length) if length else self._longest()

    def _key(self, last: int) -> int:
        """The three tokens up to `last` as one number, from ids below 2^21."""
        first, second, third = self._tokens[last - 2 : last + 1]
        return first << 42 | second << 21 | third

    def _forget(self, key: int, before: int) -> None:
        if before >= 0:
            self._latest[key] = before
        else:
            self._latest.pop(key, None)

    def _longest(self) -> tuple[int, int]:
        """The longest match of the last tokens among those with the same last three."""
        best, longest = 0, 0
        end = self._before[-1]
        for _ in range(self._candidates):
            if end < 0:
                break
            length = self._length(end)
            if length > longest:
                best, longest = end, length
            end = self._before[end]
        return best, longest

    def _length(self, end: int) -> int:
        """How many tokens up to `end` are those up to the last one; three are known to be."""
        tokens, last = self._tokens, len(self._tokens) - 1
        length, most = MIN_MATCH_TOKENS, min(end + 1, COMPARED_TOKENS)
        while length < most and tokens[end - length] == tokens[last - length]:
            length += 1
        return length
