"""What runs on a machine of a cluster: a model, or a way to one of a server, and its replies."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from minireason.backends.base import Backend, ReplyStream, reply_of
from minireason.backends.concurrency import batch_size_for
from minireason.backends.loading import open_model
from minireason.backends.pool import MOST_TRIES
from minireason.backends.remote import named
from minireason.backends.remote.backend import MAX_PARALLEL, open_remote
from minireason.backends.remote.faults import BUSY
from minireason.batch import gpus
from minireason.batch.jobs import Job
from minireason.batch.local import Logprobs, logprobs, opened
from minireason.batch.located import located
from minireason.batch.share import on_one_gpu
from minireason.errors import (
    ContextFull,
    MinireasonError,
    ModelFileError,
    ServerError,
    UsageError,
)
from minireason.events import Reply
from minireason.host import hardware
from minireason.models import store
from minireason.settings import LoadChanges, LoadSettings, Settings

AHEAD = 2
"""How many jobs wait at a worker, so that no place is empty while the driver hears of a reply."""


@dataclass(frozen=True, slots=True)
class Server:
    """The server that every worker asks. Its key is not among this: each machine has its own."""

    url: str
    """Where it is, or its name in the remotes.toml of the worker's machine."""

    key_file: str | None
    """The path of the file with the key on the worker's machine."""

    label: str
    """What the run is known by: the model's name, and where it is."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What every worker of a run holds, and how."""

    model: str
    """A name or a path on the worker's machine, or the name that the server has for it."""

    sha256: str
    """The hash of its bytes, which is the same everywhere; "" for one of a server."""

    load: LoadChanges
    settings: Settings
    """Those of lines that say nothing else, to be checked once."""

    parallel: int | Literal["auto"]
    """Replies at a time for each worker."""

    memory_bytes: int
    """The worker's share of its machine's memory."""

    server: Server | None = None
    """Where the model is, if not in the worker."""

    gpus: float = 0.0
    """The worker's part of a GPU, or how many; 0 on the CPU."""

    @property
    def most_parallel(self) -> int:
        """The most replies at a time that a worker may run."""
        if self.server is None:
            return LoadSettings.of(self.load).n_seq_max
        return MAX_PARALLEL if self.parallel == "auto" else max(MAX_PARALLEL, self.parallel)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The reply to a job, or why there is none; `tokens` were generated.

    `lost`: its server has lost it in the middle.
    """

    result: Reply | MinireasonError
    tokens: int = 0
    lost: bool = False
    logprobs: Logprobs = None


class Worker:
    """One model; its methods are called from several threads at a time."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._backend: Backend | None = None
        self._places = threading.BoundedSemaphore(1)
        self._streams: set[ReplyStream] = set()
        self._replies = 0

    def load(self, first: Sequence[Job]) -> int | MinireasonError:
        """Load the model; how many replies it runs at a time, or why it cannot be loaded.

        `first` are jobs that decide how long prompts and replies are.
        """
        try:
            self._backend = self._opened()
        except MinireasonError as error:
            return located(error)
        asked = [(job.item.messages, job.settings) for job in first]
        parallel = self._wanted.parallel
        size = batch_size_for(self._backend, asked, parallel, None, measure=False).now
        self._places = threading.BoundedSemaphore(size)
        return size

    def _opened(self) -> Backend:
        wanted = self._wanted
        backend = self._connected(wanted.server) if wanted.server else self._loaded()
        backend.check(wanted.settings)
        return backend

    def _loaded(self) -> Backend:
        wanted = self._wanted
        file = store.find(wanted.model)
        if store.fingerprint(file) != wanted.sha256:
            problem = "this is not the file that the run began with; put the same one there."
            raise ModelFileError(file.path, problem)
        taken = max(0, hardware.free_bytes() - wanted.memory_bytes)
        gpu_share = 1.0
        if wanted.gpus:
            gpus.here()
            gpu_share = 1 / on_one_gpu(wanted.gpus)
        load = LoadSettings.of(wanted.load)
        return open_model(wanted.model, load, taken_bytes=taken, gpu_share=gpu_share)

    def _connected(self, server: Server) -> Backend:
        target = named.find(server.url, server.key_file)
        backend = open_remote(
            target.url,
            self._wanted.model,
            target.key,
            target.flavour,
            max_parallel=self._wanted.most_parallel,
        )
        if backend.label != server.label:
            raise UsageError(
                f"remotes.toml leads to {backend.label} here and the run began with "
                f"{server.label}; give both machines the same entry."
            )
        return backend

    def answer(self, job: Job) -> Outcome:
        """Run one reply to its end.

        One that its server loses in the middle is asked for again, and so is one for which it has
        no place while it has some for others of this worker.
        """
        tokens = losses = 0
        with self._places:
            while True:
                replies = self._replies
                outcome = self._answered(job)
                tokens += outcome.tokens
                losses += outcome.lost
                again = outcome.lost or self._waits(outcome, replies)
                if losses == MOST_TRIES or not again:
                    return replace(outcome, tokens=tokens)

    def _waits(self, outcome: Outcome, replies: int) -> bool:
        """Whether a busy server turned it away, and others have text or came since `replies`."""
        error = outcome.result
        if outcome.tokens or not (isinstance(error, ServerError) and error.status in BUSY):
            return False
        return any(stream.tokens for stream in tuple(self._streams)) or self._replies > replies

    def _answered(self, job: Job) -> Outcome:
        assert self._backend
        try:
            stream = opened(self._backend, job)
        except (UsageError, ContextFull) as error:
            return Outcome(error)
        self._streams.add(stream)
        try:
            with stream:
                for _ in stream:
                    pass
            self._replies += 1
            return Outcome(reply_of(stream), stream.tokens, logprobs=logprobs(job, stream))
        except (UsageError, ContextFull) as error:
            return Outcome(error, stream.tokens)
        except MinireasonError as error:
            lost = isinstance(error, ServerError) and stream.tokens > 0
            return Outcome(located(error), stream.tokens, lost)
        finally:
            self._streams.discard(stream)
