"""Everything minireason raises on purpose.

    MinireasonError
    ├── UsageError            what was asked for makes no sense
    │   ├── UnknownModel
    │   ├── BadSetting
    │   └── BadCatalog
    ├── StoreError            files, downloads and servers
    │   ├── NotInstalled
    │   ├── Offline
    │   ├── DownloadFailed
    │   ├── ChecksumMismatch
    │   ├── DiskFull
    │   └── ServerError
    │       └── NotServed
    ├── ModelFileError        the file is not a model that can be run
    ├── DoesNotFit            it needs more memory than there is
    ├── EngineError           something went wrong while generating
    │   ├── ContextFull
    │   ├── DecodeFailed
    │   ├── LogitsNotFinite
    │   └── BackendMissing
    └── SessionError

Each message says what to do next; the facts behind it are attributes. Every error can be pickled
and copied, so that it comes back whole from another process.
"""

from __future__ import annotations

import pickle
import reprlib
from pathlib import Path
from typing import Any

_repr = reprlib.Repr()  # the usual repr() of what nests deeply raises RecursionError
_repr.maxlevel, _repr.maxstring, _repr.maxother = 4, 80, 80


def shortened(text: str, most: int = 80) -> str:
    """The text, or as much of its beginning as `most` characters hold."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def shown(value: object) -> str:
    """A short repr() of what somebody gave us, whatever that is."""
    try:
        return shortened(_repr.repr(value))
    except Exception:  # a stranger's __repr__, or an integer of more digits than Python writes
        return f"<{type(value).__name__}>"


def as_sentence(text: str) -> str:
    """The text with a full stop, unless it has its end."""
    return text if text.endswith(("?", ".")) else f"{text}."


class MinireasonError(Exception):
    """Root of all errors that minireason raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the message and the facts, whatever the parameters of the class are.

        A fact that cannot be pickled, such as a class of the caller's, goes as its repr().
        """
        facts = {name: _portable(value) for name, value in vars(self).items()}
        return _again, (type(self), tuple(map(_portable, self.args))), facts


def _again(kind: type[MinireasonError], arguments: tuple[object, ...]) -> MinireasonError:
    return kind.__new__(kind, *arguments)


def _portable(value: object) -> object:
    try:
        pickle.dumps(value)
    except Exception:  # a stranger's object may raise anything here
        return shown(value)
    return value


class UsageError(MinireasonError):
    """A question, message or option that cannot be used."""


class UnknownModel(UsageError):
    """A model name that is not in the catalogue; `nearest` are names like it, `known` are all.

    `by_path` says that a path would do as well.
    """

    def __init__(
        self,
        name: str,
        nearest: tuple[str, ...],
        known: tuple[str, ...],
        *,
        by_path: bool = True,
    ) -> None:
        hint = "minireason models lists those there are."
        if nearest:
            hint = f"did you mean {' or '.join(nearest)}?"
        path = " A path to a .gguf file works too." if by_path else ""
        super().__init__(f"There is no model named {name!r}; {hint}{path}")
        self.name, self.nearest, self.known, self.by_path = name, nearest, known, by_path


class BadSetting(UsageError):
    """A setting that does not exist, or a value that it cannot have; `problem` says why.

    `most` is the largest value that would do, where one is known; below 0 there is none.
    """

    def __init__(self, name: str, value: object, problem: str, *, most: int | None = None) -> None:
        super().__init__(as_sentence(f"{name}={shown(value)}: {problem}"))
        self.name, self.value, self.problem, self.most = name, value, problem, most


class BadCatalog(UsageError):
    """A models.toml or remotes.toml that cannot be used.

    `line` is None where the text does not tell.
    """

    def __init__(self, source: str, line: int | None, field: str, problem: str) -> None:
        place = f"{source}, line {line}" if line else source
        subject = f"{field} " if field else ""
        super().__init__(f"{place}: {subject}{problem}.")
        self.source, self.line, self.field, self.problem = source, line, field, problem


class StoreError(MinireasonError):
    """Model files could not be found, read or written."""


class NotInstalled(StoreError):
    """No file of the model asked for is on this machine; `looked_in` is the models directory."""

    def __init__(self, message: str, looked_in: Path) -> None:
        super().__init__(message)
        self.looked_in = looked_in


class Offline(StoreError):
    """Something is not on this machine, and the network may not be used or is not there."""


class DownloadFailed(StoreError):
    """The Hub or the way to it failed; what was fetched is kept for the next try.

    `status` is the HTTP status, None if there was none.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ChecksumMismatch(StoreError):
    """A file is not what was published: it has another sha256."""

    def __init__(self, file: str, expected: str, actual: str, advice: str) -> None:
        hashes = f"its sha256 is {actual[:12]}... and not {expected[:12]}..."
        super().__init__(f"{file} is damaged: {hashes}; {advice}")
        self.file, self.expected, self.actual, self.advice = file, expected, actual, advice


class DiskFull(StoreError):
    """Not enough space for a file; both in bytes."""

    def __init__(self, where: Path, needed_bytes: int, available_bytes: int) -> None:
        free, needed = f"{available_bytes / 1e9:.1f} GB", f"{needed_bytes / 1e9:.1f} GB"
        super().__init__(
            f"{where} has {free} free and {needed} are needed; free some space, or set "
            "MINIREASON_HOME to a directory on another disk."
        )
        self.where, self.needed_bytes, self.available_bytes = where, needed_bytes, available_bytes


class ServerError(StoreError):
    """A server could not be reached, or gave no whole reply; `status` is None without an answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class NotServed(ServerError):
    """The server does not have the model; `served` are those that it has."""

    def __init__(self, host: str, model: str, served: tuple[str, ...]) -> None:
        has = f"; it has {shortened(', '.join(served), 400)}" if served else ""
        super().__init__(f"{host} has no model named {shown(model)}{has}.", 404)
        self.host, self.model, self.served = host, model, served


class ModelFileError(MinireasonError):
    """A file that is not a GGUF model, is damaged, or is of a kind that minireason does not run."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path, self.problem = path, problem


class DoesNotFit(MinireasonError):
    """The model needs more memory than the machine has free; both in bytes."""

    def __init__(self, model: str, needed_bytes: int, available_bytes: int, advice: str) -> None:
        needed, free = f"{needed_bytes / 2**30:.1f} GiB", f"{available_bytes / 2**30:.1f} GiB"
        super().__init__(f"{model} needs {needed} of memory and {free} are free; {advice}")
        self.model, self.advice = model, advice
        self.needed_bytes, self.available_bytes = needed_bytes, available_bytes


class EngineError(MinireasonError):
    """Loading or generating failed."""


class ContextFull(EngineError):
    """The prompt does not fit the context; nothing was generated or lost.

    `estimated`: a prompt far too long is not counted to its end, and `prompt_tokens` is judged by
    its beginning. `max_n_ctx`: the longest context of the model itself, None where it is not known.
    `served`: the context is a server's, which no setting of ours makes larger.
    """

    def __init__(
        self,
        prompt_tokens: int,
        n_ctx: int,
        *,
        estimated: bool = False,
        max_n_ctx: int | None = None,
        served: bool = False,
    ) -> None:
        size = f"about {prompt_tokens}" if estimated else str(prompt_tokens)
        room = f"The prompt has {size} tokens and the context holds {n_ctx} with the reply"
        advice = "; shorten the prompt, or give a larger n_ctx."
        if served:
            advice = "; shorten the prompt, or start the server with a larger context."
        elif max_n_ctx is not None and n_ctx >= max_n_ctx:
            advice = ", the most that this model was trained for; shorten the prompt."
        elif max_n_ctx is not None:
            advice = f"; shorten the prompt, or give a larger n_ctx, up to {max_n_ctx}."
        super().__init__(f"{room}{advice}")
        self.prompt_tokens, self.n_ctx, self.estimated = prompt_tokens, n_ctx, estimated
        self.max_n_ctx, self.served = max_n_ctx, served


class DecodeFailed(EngineError):
    """llama.cpp refused or failed to decode; `status` is its return value."""

    def __init__(self, status: int, log: str) -> None:
        reason = f": {log}" if log else ""
        super().__init__(
            f"llama.cpp could not decode (status {status}){reason}. "
            "Loading the model again may help."
        )
        self.status, self.log = status, log


class LogitsNotFinite(EngineError):
    """No token can be sampled for a sequence, for its logits are not finite; others go on."""


class BackendMissing(EngineError):
    """The llama.cpp library could not be loaded or is not the one minireason was written for."""


class SessionError(MinireasonError):
    """A conversation could not be continued, saved or loaded."""
