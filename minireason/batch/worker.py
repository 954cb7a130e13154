"""What runs on a machine of a cluster: one model, and the replies it is asked for side by side."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from minireason.backends.base import Backend
from minireason.backends.loading import open_model
from minireason.batch.jobs import Job
from minireason.batch.local import OPTIONS, batch_size
from minireason.errors import ContextFull, MinireasonError, ModelFileError, UsageError
from minireason.events import Reply
from minireason.host import hardware
from minireason.models import store
from minireason.settings import LoadChanges, LoadSettings, Settings

AHEAD = 2
"""How many jobs wait at a worker, so that no place is empty while the driver hears of a reply."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What every worker of a run holds, and how."""

    model: str
    """A name or a path on the worker's machine."""

    sha256: str
    """The hash of its bytes, which is the same everywhere."""

    load: LoadChanges
    settings: Settings
    """Those of lines that say nothing else, to be checked once."""

    parallel: int | Literal["auto"]
    """Replies at a time for each worker."""

    memory_bytes: int
    """The worker's share of its machine's memory."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The reply to a job, or why there is none; `tokens` were generated."""

    result: Reply | MinireasonError
    tokens: int = 0


class Worker:
    """One model; its methods are called from several threads at a time."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._backend: Backend | None = None
        self._places = threading.BoundedSemaphore(1)

    def load(self, first: Sequence[Job]) -> int | MinireasonError:
        """Load the model; how many replies it runs at a time, or why it cannot be loaded.

        `first` are jobs that decide how long prompts and replies are.
        """
        try:
            self._backend = self._opened()
        except MinireasonError as error:
            error.args = (f"On the worker {socket.gethostname()}: {error}",)
            return error
        size = batch_size(self._backend, first, self._wanted.parallel, None, measure=False).now
        self._places = threading.BoundedSemaphore(size)
        return size

    def _opened(self) -> Backend:
        wanted = self._wanted
        file = store.find(wanted.model)
        if store.fingerprint(file) != wanted.sha256:
            problem = "this is not the file that the run began with; put the same one there."
            raise ModelFileError(file.path, problem)
        taken = max(0, hardware.free_bytes() - wanted.memory_bytes)
        backend = open_model(wanted.model, LoadSettings.of(wanted.load), taken_bytes=taken)
        backend.check(wanted.settings)
        return backend

    def answer(self, job: Job) -> Outcome:
        """Run one reply to its end."""
        assert self._backend
        with self._places:
            try:
                stream = self._backend.stream(job.item.messages, job.settings, OPTIONS)
            except (UsageError, ContextFull) as error:
                return Outcome(error)
            try:
                with stream:
                    for _ in stream:
                        pass
                with suppress(UsageError):  # of a value that its schema refuses; told once
                    _ = stream.reply
                return Outcome(stream.reply, stream.tokens)
            except MinireasonError as error:
                return Outcome(error, stream.tokens)
