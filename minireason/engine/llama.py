"""A model and its context in llama.cpp; every status becomes an exception."""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from minireason.engine import cuts, devices, mapping
from minireason.engine.base import Mask
from minireason.engine.confidence import token_confidence
from minireason.engine.handle import Handle, Owner, is_leaving, starts_threads
from minireason.engine.library import C, clear_log, fill, init, log_tail
from minireason.engine.sampler import forbid, likeliest
from minireason.errors import DecodeFailed, EngineError, LogitsNotFinite, ModelFileError
from minireason.settings import KvType

Logits: TypeAlias = npt.NDArray[np.float32]
"""One number for each token of the vocabulary, in llama.cpp's own memory: what is written there is what is sampled from."""

_BPE = 2
_RELEASE_SHARE = 1 / 32
_FLASH_WIDE_TOKENS = 64
"""Where flash attention on the CPU takes its fast way: over 1,000 cached tokens 48 took 0.61 s and 64 took 0.26 s (SmolLM2)."""
_SPECIAL = C.LLAMA_TOKEN_ATTR_CONTROL | C.LLAMA_TOKEN_ATTR_USER_DEFINED | C.LLAMA_TOKEN_ATTR_UNKNOWN
_TOKEN_DATA = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class Model:
    """Weights and vocabulary of one GGUF file, or its vocabulary alone; `on_progress` gets the share loaded, 0 to 1.

    `repack`: with weights rearranged for the CPU. Raises ModelFileError.
    """

    def __init__(
        self,
        path: Path,
        *,
        n_gpu_layers: int = -1,
        repack: bool = False,
        vocab_only: bool = False,
        on_progress: Callable[[float], None] | None = None,
    ) -> None:
        init()
        if repack:
            devices.leave_out_amx()
        self.path = path
        interrupted: list[BaseException] = []
        released = -1.0

        def progress(share: float, _data: Any) -> bool:
            nonlocal released
            try:
                if repack and share - released > _RELEASE_SHARE:
                    mapping.release(path)
                    released = share
                if on_progress is not None:
                    on_progress(share)
            except (
                BaseException
            ) as raised:  # ctypes would print and drop it; it is raised again below
                interrupted.append(raised)
            return not interrupted and not is_leaving()

        callback = C.llama_progress_callback(progress)
        clear_log()
        params = fill(
            C.llama_model_default_params(),
            n_gpu_layers=n_gpu_layers,
            use_extra_bufts=repack,
            vocab_only=vocab_only,
            progress_callback=callback,
        )
        make = functools.partial(C.llama_model_load_from_file, os.fsencode(path), params)
        self._handle = Handle(make, C.llama_model_free)
        if interrupted:
            raise interrupted[0]
        if is_leaving():
            self.check_open()
        if not self._handle.is_open:
            raise ModelFileError(
                path, f"llama.cpp could not load it ({log_tail() or 'no reason given'})"
            )
        self._pieces: dict[int, bytes] = {}
        owner = self.owner
        vocab = C.llama_model_get_vocab(owner.pointer)
        self.n_vocab = int(C.llama_vocab_n_tokens(vocab))
        self.bos = int(C.llama_vocab_bos(vocab)) if C.llama_vocab_get_add_bos(vocab) else None
        """The id that starts a text, if this vocabulary wants one."""
        if problem := _unsupported(owner.pointer):
            self.close()
            raise ModelFileError(path, problem)

    @property
    def owner(self) -> Owner:
        """What contexts need; raises EngineError after close()."""
        return self._handle.get()

    @property
    def is_open(self) -> bool:
        """Whether it has not been closed."""
        return self._handle.is_open

    def check_open(self) -> None:
        """Raise EngineError after close(), and in a process that was forked."""
        self._handle.get()

    def close(self) -> None:
        """Free the weights, after calls in other threads and once no context needs them any
        more."""
        self._handle.close()

    @functools.cached_property
    def special(self) -> dict[str, int]:
        """Literal text -> id of every control, user-defined and unknown token."""
        with self._handle.lock:
            owner = self._handle.get()
            vocab = C.llama_model_get_vocab(owner.pointer)
            ids = [
                token
                for token in range(self.n_vocab)
                if C.llama_vocab_get_attr(vocab, token) & _SPECIAL
            ]
            texts = [C.llama_vocab_get_text(vocab, token) for token in ids]
        return {
            text.decode("utf-8", "replace"): token for text, token in zip(texts, ids, strict=True)
        }

    @functools.cached_property
    def eog(self) -> frozenset[int]:
        """Ids that end a generation."""
        special = self.special.values()
        with self._handle.lock:
            owner = self._handle.get()
            vocab = C.llama_model_get_vocab(owner.pointer)
            ends = {token for token in special if C.llama_vocab_is_eog(vocab, token)}
            ends.add(int(C.llama_vocab_eos(vocab)))
        return frozenset(ends)

    def tokenize(self, text: str, *, parse_special: bool) -> list[int]:
        """Token ids of a text without added bos; with `parse_special` literals of control tokens become those tokens."""
        whole = self.special if parse_special and len(text) > cuts.LONGEST else ()
        ids: list[int] = []
        for piece in cuts.pieces(text, whole):
            raw = piece.encode("utf-8")
            found, count = self._tokenize(raw, len(raw) + 8, parse_special)
            if count < 0:
                found, count = self._tokenize(raw, -count, parse_special)
            ids += found[:count]
        return ids

    def _tokenize(self, raw: bytes, room: int, parse_special: bool) -> tuple[Any, int]:
        """Ids in an array, and how many they are or, below 0, would be."""
        ids = (C.llama_token * room)()
        with self._handle.lock:
            owner = self._handle.get()
            vocab = C.llama_model_get_vocab(owner.pointer)
            count = C.llama_tokenize(vocab, raw, len(raw), ids, room, False, parse_special)
        return ids, int(count)

    def piece(self, token: int) -> bytes:
        """The bytes that a token stands for, special tokens as their literal."""
        known = self._pieces.get(token)
        if known is None:
            buffer, size = self._piece(token, 32)
            if size < 0:  # minus the size that it needs
                buffer, size = self._piece(token, -size)
            known = self._pieces[token] = buffer.raw[: max(0, size)]
        return known

    def _piece(self, token: int, room: int) -> tuple[Any, int]:
        buffer = ctypes.create_string_buffer(room)
        with self._handle.lock:
            owner = self._handle.get()
            vocab = C.llama_model_get_vocab(owner.pointer)
            size = C.llama_token_to_piece(vocab, token, buffer, room, 0, True)
        return buffer, int(size)


def _unsupported(model: Any) -> str | None:
    """Why minireason does not run a model, if it does not."""
    if (
        C.llama_model_has_encoder(model)
        or not C.llama_model_has_decoder(model)
        or C.llama_model_is_diffusion(model)
    ):
        return "it is an encoder or diffusion model, and minireason runs decoders only"
    if (
        C.llama_model_is_recurrent(model)
        or C.llama_model_is_hybrid(model)
        or C.llama_model_n_swa(model)
    ):
        return "models with recurrent or sliding-window layers are not supported"
    return (
        None
        if C.llama_vocab_type(C.llama_model_get_vocab(model)) == _BPE
        else "only byte-level BPE vocabularies are supported"
    )


class SamplerChain:
    """A chain of llama.cpp samplers from links such as ("top_k", 256), in order."""

    def __init__(self, links: Sequence[tuple[Any, ...]]) -> None:
        self.looks_at = _looks_at(links[0])
        self._number = -1
        rows = np.zeros(0, _TOKEN_DATA)
        self._buffer = rows, rows.ctypes.data_as(C.llama_token_data_p)
        self._candidates = C.llama_token_data_array()
        params = fill(C.llama_sampler_chain_default_params(), no_perf=True)
        make = functools.partial(C.llama_sampler_chain_init, params)
        self._handle = Handle(make, C.llama_sampler_free)
        with self._handle.lock:
            owner = self._handle.get()
            for name, *arguments in links:
                link = getattr(C, f"llama_sampler_init_{name}")(*arguments)
                C.llama_sampler_chain_add(owner.pointer, link)

    @property
    def owner(self) -> Owner:
        """The C object; raises EngineError after close()."""
        return self._handle.get()

    def draw(self, number: int, ids: npt.NDArray[np.int32], logits: Logits) -> int:
        """Token number `number` of this chain, out of these candidates.

        The chain's random numbers go on within the one C call that also writes down which candidate it
        was. So an interruption comes before both or after both, and `drawn` knows which.
        """
        count = len(ids)
        if count > len(self._buffer[0]):
            larger = np.zeros(count, _TOKEN_DATA)
            self._buffer = larger, larger.ctypes.data_as(C.llama_token_data_p)
        whole, data = self._buffer
        rows = whole[:count]
        rows["id"], rows["logit"] = ids, logits[ids]
        candidates = self._candidates
        candidates.data, candidates.size, candidates.sorted = data, count, False
        candidates.selected = -1
        self._number = number
        with self._handle.lock:
            owner = self._handle.get()
            C.llama_sampler_apply(owner.pointer, ctypes.byref(candidates))
        # None of the links looks at what came before, so none has to be told what was accepted.
        return int(candidates.data[candidates.selected].id)

    def drawn(self, number: int) -> int | None:
        """Token number `number` if it is the last one that was drawn."""
        candidates = self._candidates
        if self._number != number or candidates.selected < 0:
            return None
        return int(candidates.data[candidates.selected].id)

    def close(self) -> None:
        """Free the samplers."""
        self._handle.close()


def _looks_at(first: tuple[Any, ...]) -> int:
    """How many of the largest logits a chain with this first link can choose from; 0: all."""
    match first:
        case ("greedy",):
            return 1
        case ("top_k", int(count)):
            return count
    return 0


class Context:
    """A KV cache of `n_ctx` tokens shared by `n_seq_max` slots, and the batch to fill it (see base.ModelRunner).

    One unified cache: a copy between slots shares cells, and its state fits into a larger one. `n_outputs_max` as
    small as it can be saves most of the compute buffer.
    """

    def __init__(
        self,
        model: Model,
        *,
        n_ctx: int,
        n_batch: int,
        n_seq_max: int,
        n_threads: int,
        kv_type: KvType = "f16",
        flash_attention: bool = False,
    ) -> None:
        self.n_ctx, self.n_batch, self.n_seq_max = n_ctx, n_batch, n_seq_max
        self._model, self._n_threads, self._kv_type = model, n_threads, kv_type
        self._flash = flash_attention or kv_type != "f16"  # quantized values need it
        self.wide_tokens = _FLASH_WIDE_TOKENS if self._flash else 0
        self._moving: _Move | None = None
        self._lost = False
        if n_threads > 1:
            starts_threads()
        self._handle = self._open(n_ctx)
        self._token, self._pos = (C.llama_token * n_batch)(), (C.llama_pos * n_batch)()
        self._seq, self._output = (C.llama_seq_id * n_batch)(), (ctypes.c_int8 * n_batch)()
        self._n_seq = (ctypes.c_int32 * n_batch)(*[1] * n_batch)
        step = ctypes.sizeof(C.llama_seq_id)
        rows = (ctypes.POINTER(C.llama_seq_id) * n_batch)()
        for row in range(n_batch):
            rows[row] = ctypes.cast(
                ctypes.addressof(self._seq) + row * step, ctypes.POINTER(C.llama_seq_id)
            )
        self._batch = fill(
            C.llama_batch(),
            token=self._token,
            pos=self._pos,
            n_seq_id=self._n_seq,
            seq_id=rows,
            logits=ctypes.cast(self._output, ctypes.POINTER(ctypes.c_int8)),
        )

    def _open(self, n_ctx: int) -> Handle:
        clear_log()
        model = self._model.owner
        kv_type = getattr(C, f"GGML_TYPE_{self._kv_type.upper()}")
        params = fill(
            C.llama_context_default_params(),
            n_ctx=n_ctx,
            n_batch=self.n_batch,
            n_ubatch=self.n_batch,
            n_seq_max=self.n_seq_max,
            n_outputs_max=self.n_seq_max,
            n_threads=self._n_threads,
            n_threads_batch=self._n_threads,
            type_k=kv_type,
            type_v=kv_type,
            flash_attn_type=C.LLAMA_FLASH_ATTN_TYPE_ENABLED
            if self._flash
            else C.LLAMA_FLASH_ATTN_TYPE_DISABLED,
            kv_unified=True,
            no_perf=True,
        )
        make = functools.partial(C.llama_init_from_model, model.pointer, params)
        handle = Handle(make, C.llama_free, model)
        if not handle.is_open:
            raise EngineError(
                f"llama.cpp could not make a context of {n_ctx} tokens ({log_tail() or 'not enough memory?'}); ask for a smaller one."
            )
        self.n_ctx = int(C.llama_n_ctx(handle.get().pointer))
        return handle

    @property
    def owner(self) -> Owner:
        """The C object; raises EngineError after close()."""
        return self._handle.get()

    def close(self) -> None:
        """Free the cache, after a call in another thread; every later call raises EngineError, but
        `trim` does nothing."""
        self._moving = None
        while self._handle.is_open:  # what waited for `grow` finds another one
            self._handle.close()

    def decode(
        self, tokens: list[int], positions: list[int], slots: list[int], outputs: list[bool]
    ) -> bool:
        """Compute these tokens, at most `n_batch`; False if the cache has no room (nothing changed). Raises DecodeFailed."""
        count = len(tokens)
        if (
            not 0 < count <= self.n_batch
            or sum(outputs) > self.n_seq_max
            or not all(0 <= slot < self.n_seq_max for slot in slots)
        ):
            raise ValueError("a batch that would abort inside llama.cpp")
        self._token[:count], self._pos[:count], self._seq[:count] = tokens, positions, slots
        self._output[:count] = [int(output) for output in outputs]
        self._batch.n_tokens = count
        with self._handle.lock:
            owner = self._handle.get()
            status = C.llama_decode(owner.pointer, self._batch)
        if status not in (0, 1):
            raise DecodeFailed(status, log_tail())
        return bool(status == 0)

    def sample(self, sampler: SamplerChain, row: int, draw: int, mask: Mask | None = None) -> int:
        """One token from the logits of a row of the last batch that had `outputs` set.

        Of a `mask`, what it forbids is never drawn.
        `draw` is its number; asked again for the last one, this gives the same and draws nothing.
        """
        token = sampler.drawn(draw)
        if token is not None:
            return token
        with self._handle.lock:
            owner = self._handle.get()
            logits = self._logits(owner, row)
            if mask is not None:
                forbid(logits, mask)
            return sampler.draw(draw, likeliest(logits, sampler.looks_at), logits)

    def confidence(self, row: int) -> float:
        """How sure the model is of the token after a row of the last batch that had `outputs` set; see `engine.confidence`."""
        with self._handle.lock:
            owner = self._handle.get()
            return token_confidence(self._logits(owner, row))

    def _logits(self, owner: Owner, row: int) -> Logits:
        """The logits of a row, all of them finite, in the memory of `owner`; raises
        LogitsNotFinite."""
        pointer = C.llama_get_logits_ith(owner.pointer, row)
        logits = np.ctypeslib.as_array(pointer, (self._model.n_vocab,))
        if not np.isfinite(logits).all():  # 0.024 ms for 152k tokens
            raise LogitsNotFinite(
                "The model gives numbers that are not finite, so no token can be drawn from them; "
                "its file is damaged: download it again."
            )
        return logits

    def trim(self, slot: int, keep: int) -> None:
        """Forget a slot's positions from `keep` on."""
        with self._handle.lock:
            if not self._handle.is_open:
                return  # a stream may be closed after its model
            owner = self._handle.get()
            memory = C.llama_get_memory(owner.pointer)
            done = C.llama_memory_seq_rm(memory, slot, keep, -1)
        if not done:
            raise EngineError(
                "llama.cpp could not forget part of a sequence; this kind of model is not supported."
            )

    def clear(self) -> None:
        """Forget all slots and what their cells hold, which `trim` leaves in memory."""
        with self._handle.lock:
            owner = self._handle.get()
            C.llama_memory_clear(C.llama_get_memory(owner.pointer), True)
        self._lost = False

    def copy(self, source: int, target: int, count: int) -> None:
        """Let an empty slot share the first `count` positions of another."""
        with self._handle.lock:
            owner = self._handle.get()
            memory = C.llama_get_memory(owner.pointer)
            C.llama_memory_seq_cp(memory, source, target, 0, count)

    def grow(self, n_ctx: int) -> bool:
        """Move everything into a cache of `n_ctx` tokens; False if there is no memory for it (nothing changed).

        Raises EngineError if then there is none for the old one either; `settle` tries again.
        """
        with self._handle.lock:
            before = self.n_ctx
            state, written = self._saved_state()
            self._moving = _Move(state, written, before, n_ctx)
            moved = self.settle()
        if not moved:
            raise EngineError(
                f"llama.cpp could not move its state into a context of {n_ctx} tokens; it is read again."
            )
        return self.n_ctx > before

    def settle(self) -> bool:
        """Finish a move that was cut off; False if what was in the cache is lost. Raises EngineError."""
        moving = self._moving
        if moving is None:
            return self._handle.is_open and not self._lost
        self._handle.close()  # before the new one is made, so that there are never two
        try:
            self._handle = self._open(moving.n_ctx)
        except EngineError:
            self._handle = self._open(moving.before)
        moved = self._restore(moving)
        self._lost = not moved  # until `clear`, which comes when nobody counts on it any more
        self._moving = None
        return moved

    def _saved_state(self) -> tuple[Any, int]:
        """What all slots hold, and its size in bytes."""
        owner = self._handle.get()
        size = C.llama_state_get_size(owner.pointer)
        state = (ctypes.c_uint8 * size)()
        return state, int(C.llama_state_get_data(owner.pointer, state, size))

    def _restore(self, moving: _Move) -> bool:
        with self._handle.lock:
            owner = self._handle.get()
            taken = C.llama_state_set_data(owner.pointer, moving.state, moving.written)
        return bool(taken == moving.written)


@dataclass(frozen=True, slots=True)
class _Move:
    """What goes from one context into another, which is not done before this is gone."""

    state: Any
    written: int
    before: int
    n_ctx: int
