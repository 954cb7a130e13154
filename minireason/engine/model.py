"""The weights of a GGUF file in llama.cpp."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minireason.engine import devices, mapping
from minireason.engine.handle import Handle, Owner, is_leaving
from minireason.engine.interruption import DeferredInterrupt
from minireason.engine.library import C, clear_log, fill, init, log_tail
from minireason.engine.vocabulary import ModelVocabulary
from minireason.errors import ModelFileError

_BPE = 2
_RELEASE_SHARE = 1 / 32


class Model:
    """Weights and vocabulary of one GGUF file, or its vocabulary alone.

    `on_progress` gets the share loaded, 0 to 1. `repack`: with weights rearranged for the CPU.
    Raises ModelFileError.
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
        interrupt = DeferredInterrupt()
        progress = _Progress(path, on_progress, interrupt, repack=repack)
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
        with interrupt:
            self._handle = Handle(make, C.llama_model_free)
        progress.raise_again()
        if is_leaving():
            self.check_open()
        if not self._handle.is_open:
            raise ModelFileError(
                path, f"llama.cpp could not load it ({log_tail() or 'no reason given'})"
            )
        self.vocabulary = ModelVocabulary(self._handle)
        owner = self.owner
        if problem := _unsupported(owner.pointer):
            self.close()
            raise ModelFileError(path, problem)

    @property
    def owner(self) -> Owner:
        """What contexts need; raises EngineError after close()."""
        return self._handle.get()

    @property
    def n_ctx_train(self) -> int:
        """The longest context that it was trained for; raises EngineError after close()."""
        return int(C.llama_model_n_ctx_train(self.owner.pointer))

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


class _Progress:
    """llama.cpp's progress callback while a file is loaded, which gives mapped pages back too."""

    def __init__(
        self,
        path: Path,
        on_progress: Callable[[float], None] | None,
        interrupt: DeferredInterrupt,
        *,
        repack: bool,
    ) -> None:
        self._path, self._on_progress, self._repack = path, on_progress, repack
        self._interrupt = interrupt
        self._released = -1.0
        self._raised: BaseException | None = None

    def __call__(self, share: float, _data: Any) -> bool:
        """Go on loading, unless something was raised or Python ends."""
        try:
            self._interrupt.deliver()
            if self._repack and share - self._released > _RELEASE_SHARE:
                mapping.release(self._path)
                self._released = share
            if self._on_progress is not None:
                self._on_progress(share)
        except BaseException as error:  # ctypes would print and drop it
            self._raised = error
        return self._raised is None and not is_leaving()

    def raise_again(self) -> None:
        """Raise what was raised in a call."""
        if self._raised:
            raise self._raised


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
