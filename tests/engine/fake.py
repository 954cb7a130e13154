"""A scripted runner that checks what it is handed: positions, slots, outputs, room."""

from __future__ import annotations

from typing import Any

from minireason.engine.base import END, Mask, Step
from minireason.errors import EngineError, LogitsNotFinite


class FakeRunner:
    """Its "model" says token + 1; cells of its cache that were copied count once."""

    def __init__(self, *, n_ctx: int = 64, n_batch: int = 8, n_seq_max: int = 4) -> None:
        self.n_ctx, self.n_batch, self.n_seq_max = n_ctx, n_batch, n_seq_max
        self.wide_tokens = 0
        self.closed = False
        self.cells: list[list[object]] = [[] for _ in range(n_seq_max)]
        self.tokens: list[list[int]] = [[] for _ in range(n_seq_max)]
        self.decodes: list[tuple[int, int]] = []
        self.rows: list[int | None] = []
        self.masks: list[Mask | None] = []
        """What each draw was asked with."""
        self.fail_next: BaseException | None = None
        self.fail_sample: BaseException | None = None
        self.most = 1_000_000
        self.damaged: set[int] = set()
        """Tokens whose cells make the logits of all sequences not finite, until the cache is
        cleared."""
        self.poisoned = False

    def used(self) -> int:
        return len({id(cell) for row in self.cells for cell in row})

    def decode(
        self, tokens: list[int], positions: list[int], slots: list[int], outputs: list[bool]
    ) -> bool:
        assert 0 < len(tokens) <= self.n_batch
        assert len(tokens) == len(positions) == len(slots) == len(outputs)
        assert sum(outputs) <= self.n_seq_max
        if self.used() + len(tokens) > self.n_ctx:
            return False
        for token, position, slot in zip(tokens, positions, slots, strict=True):
            assert position == len(self.tokens[slot]), "a gap or an overlap"
            self.poisoned |= token in self.damaged
            self.tokens[slot].append(token)
            self.cells[slot].append(object())
            if self.fail_next:
                error, self.fail_next = self.fail_next, None
                raise error
        self.decodes.append((len(tokens), sum(outputs)))
        self.rows = [
            token if output else None for token, output in zip(tokens, outputs, strict=True)
        ]
        return True

    def sample(self, sampler: Any, row: int, draw: int, mask: Mask | None = None) -> int:
        self.masks.append(mask)
        if self.poisoned:
            raise LogitsNotFinite("not finite")
        if self.fail_sample:
            error, self.fail_sample = self.fail_sample, None
            raise error
        token = self.rows[row]
        assert token is not None, "a row without logits"
        return token + 1

    def confidence(self, row: int) -> float:
        token = self.rows[row]
        assert token is not None, "a row without logits"
        return float(token)

    def trim(self, slot: int, keep: int) -> None:
        del self.tokens[slot][keep:], self.cells[slot][keep:]

    def copy(self, source: int, target: int, count: int) -> None:
        assert not self.tokens[target], "a copy into a slot that is not empty"
        self.tokens[target] = self.tokens[source][:count]
        self.cells[target] = self.cells[source][:count]

    def close(self) -> None:
        self.closed = True

    def clear(self) -> None:
        self.poisoned = False
        for slot in range(self.n_seq_max):
            self.trim(slot, 0)

    def grow(self, n_ctx: int) -> bool:
        assert n_ctx > self.n_ctx
        if n_ctx > self.most:
            return False
        self.n_ctx = n_ctx
        return True

    def finish_grow(self) -> bool:
        return True


class ListHandler:
    """Takes tokens into a list, up to `limit`.

    `forced` maps a number of tokens to ids to force after it.
    """

    def __init__(self, limit: int, forced: dict[int, list[int]] | None = None) -> None:
        self.taken: list[int] = []
        self.limit, self.forced = limit, forced or {}
        self.context_full = False
        self.kept = self.removed = 0
        self.cached_tokens: int | None = None
        self.told_limit: int | None = None
        self.steps: dict[int, Step] = {}
        self.rewind: Step | None = None
        """What becomes of the sequence after the next token, which itself is not taken."""
        self.error: EngineError | None = None

    def on_admit(self, cached_tokens: int) -> None:
        self.cached_tokens = cached_tokens

    def on_token(self, token: int, draw: int) -> Step:
        if draw not in self.steps:
            self.steps[draw] = self._decide(token)
        return self.steps[draw]

    def _decide(self, token: int) -> Step:
        if self.rewind:
            step, self.rewind = self.rewind, None
            return step
        if len(self.taken) >= self.limit:
            return END
        forced = self.forced.get(len(self.taken) + 1, [])
        self.taken += [token, *forced]
        return Step([token, *forced])

    def reserved_tokens(self, n_ctx: int) -> int:
        return self.kept

    def on_context_limit(self, n_ctx: int) -> None:
        self.told_limit = n_ctx

    def on_context_full(self) -> None:
        self.context_full = True

    def on_removed(self) -> None:
        self.removed += 1

    def on_error(self, error: EngineError) -> None:
        self.error = error
