"""The vocabulary of a GGUF file: text to token ids and back, and the ids that mean something."""

from __future__ import annotations

import ctypes
import functools
from typing import Any

from minireason.engine import cuts
from minireason.engine.handle import Handle
from minireason.engine.library import C

_SPECIAL = C.LLAMA_TOKEN_ATTR_CONTROL | C.LLAMA_TOKEN_ATTR_USER_DEFINED | C.LLAMA_TOKEN_ATTR_UNKNOWN


class ModelVocabulary:
    """The vocabulary of an open model; see `engine.base.Vocabulary`.

    After the model is closed all of it that is not known yet raises EngineError.
    """

    def __init__(self, model: Handle) -> None:
        self._handle = model
        self._pieces: dict[int, bytes] = {}
        owner = model.get()
        vocab = C.llama_model_get_vocab(owner.pointer)
        self.n_vocab = int(C.llama_vocab_n_tokens(vocab))
        self.bos = int(C.llama_vocab_bos(vocab)) if C.llama_vocab_get_add_bos(vocab) else None
        """The id that starts a text, if this vocabulary wants one."""
        self._kind = _kind(owner.pointer)

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
        """Token ids of a text without added bos.

        With `parse_special` literals of control tokens become those tokens.
        """
        whole = self.special if parse_special and len(text) > cuts.LONGEST else ()
        ids: list[int] = []
        for piece in cuts.pieces(text, self._kind, whole):
            raw = piece.encode("utf-8")
            array, count = self._tokenize(raw, len(raw) + 8, parse_special)
            if count < 0:
                array, count = self._tokenize(raw, -count, parse_special)
            ids += array[:count]
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


def _kind(model: Any) -> str:
    """How a model's vocabulary splits words, "" if the file does not say."""
    buffer = ctypes.create_string_buffer(64)
    C.llama_model_meta_val_str(model, b"tokenizer.ggml.pre", buffer, len(buffer))
    return buffer.value.decode("utf-8", "replace")
