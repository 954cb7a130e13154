"""Read a prompt into the cache ahead of time, while nobody else wants the model."""

from __future__ import annotations

import time
from collections.abc import Callable

from minireason.engine.base import END, Step
from minireason.engine.scheduler import Scheduler
from minireason.engine.sequence import PromptOnly
from minireason.errors import EngineError

CHUNK_TOKENS = 128
"""Tokens that are read at a time. Another's question ends that in the middle; who stops the reading
waits for them, since they are read for whoever goes on from there."""

AHEAD_TOKENS = 256
"""So much room is made ahead of time too, for a question and the beginning of its reply."""

_AWAY_S = 0.02


class Prefill:
    """A prompt that is read and generates nothing; its own `engine.base.TokenHandler`."""

    def __init__(self, scheduler: Scheduler, tokens: list[int], cache_scope: str = "") -> None:
        self._scheduler, self._tokens, self._scope = scheduler, tokens, cache_scope
        self._seen: int | None = None

    def run(self, stopped: Callable[[], bool]) -> int:
        """Read to the end or until stopped, stepping aside while others run the loop.

        Gives the number of tokens read. It ends before that where all slots are held by streams
        that nobody reads.
        """
        read = 0
        while read < len(self._tokens) and not stopped():
            if self._others_run():
                time.sleep(_AWAY_S)
                continue
            before, read = read, self._read_chunk(read, stopped)
            if read == before and not self._others_run():
                return read
        if not stopped():
            self._scheduler.reserve(len(self._tokens) + AHEAD_TOKENS)
        return read

    def _others_run(self) -> bool:
        """Whether others have run the loop since this was last asked or a chunk was read."""
        others = self._scheduler.sequences
        seen, self._seen = self._seen, self._scheduler.clock
        return bool(others) and seen != self._seen

    def _read_chunk(self, read: int, stopped: Callable[[], bool]) -> int:
        """Read the next chunk, as far as nobody else comes: how much is read then."""
        scheduler = self._scheduler
        # What is there is not read again: a shorter beginning might cost the slot that has it.
        read = max(read, scheduler.cached(self._tokens, self._scope))
        rest = len(self._tokens) - read
        end = read + -(-rest // -(-rest // CHUNK_TOKENS))  # chunks of one size, as in a batch
        # The last token of a sequence that is only read is not read, so any will do.
        tokens = [*self._tokens[:end], self._tokens[end - 1]]
        sequence = PromptOnly(tokens, self, cache_scope=self._scope)
        before = scheduler.sequences
        scheduler.add(sequence)
        try:
            while sequence in (now := scheduler.sequences):
                if stopped() or len(now) > len(before) + 1:
                    return read
                if not scheduler.step() and sequence in scheduler.sequences:
                    return read
            return end
        finally:
            scheduler.remove(sequence)
            self._seen = scheduler.clock

    def on_admit(self, _cached_tokens: int) -> None:
        """See `engine.base.TokenHandler`."""

    def on_token(self, _token: int, _draw: int) -> Step:
        """See `engine.base.TokenHandler`."""
        return END

    def reserved_tokens(self, _n_ctx: int) -> int:
        """See `engine.base.TokenHandler`."""
        return 0

    def on_context_limit(self, _n_ctx: int) -> None:
        """See `engine.base.TokenHandler`."""

    def on_context_full(self) -> None:
        """See `engine.base.TokenHandler`."""

    def on_removed(self) -> None:
        """See `engine.base.TokenHandler`."""

    def on_error(self, _error: EngineError) -> None:
        """See `engine.base.TokenHandler`."""
