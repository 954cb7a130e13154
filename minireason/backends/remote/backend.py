"""`RemoteBackend`: a model of a server, and `open_remote`, which asks the server what it is."""

from __future__ import annotations

import os
import random
import weakref
from collections.abc import Callable, Sequence

from minireason.backends.base import StreamOptions
from minireason.backends.capabilities import Retry
from minireason.backends.collected import parsing
from minireason.backends.remote import request as requests
from minireason.backends.remote.asking import UNKNOWN_N_CTX, Served, list_models, look
from minireason.backends.remote.connection import (
    KEY_VARIABLE,
    READ_S,
    SPARE_CONNECTIONS,
    Connection,
    address,
)
from minireason.backends.remote.exchange import News
from minireason.backends.remote.flavours import AUTO, FLAVOURS
from minireason.backends.remote.prompt_size import PromptSize
from minireason.backends.remote.request import Request
from minireason.backends.remote.stream import RemoteStream
from minireason.checks import checked, one_of, text
from minireason.errors import ContextFull
from minireason.messages import Message
from minireason.models import catalog
from minireason.models.tuned import StepCosts
from minireason.reasoning.begun import begun_of
from minireason.settings import MAX_SEED, Changes, Settings

MAX_PARALLEL = 16
"""Requests of one vote or batch at a time: servers put them into batches by themselves."""


def open_remote(
    url: str,
    model: str | None = None,
    api_key: str | None = None,
    flavour: str = AUTO,
    *,
    read_s: float = READ_S,
    max_parallel: int = MAX_PARALLEL,
    defaults: Changes | None = None,
) -> RemoteBackend:
    """Ask a server what it is, and make the backend of one of its models.

    `read_s`: seconds until a silent server is given up. `max_parallel`: requests at a time, at
    most. `defaults`: settings for every reply, before the model's own of the catalogue. Raises
    UsageError, BadSetting, ServerError or NotServed.
    """
    checked("flavour", flavour, one_of((AUTO, *FLAVOURS)))
    if model is not None:
        checked("model", model, text)
    place = address(url, api_key or os.environ.get(KEY_VARIABLE))
    most = max_parallel + SPARE_CONNECTIONS
    connection = Connection(place, read_s=read_s, max_connections=most)
    try:
        served = look(connection, model, flavour)
        backend = RemoteBackend(connection, served, max_parallel=max_parallel)
        backend.defaults = backend.defaults.changed(defaults or {})
        return backend
    except BaseException:
        connection.close()
        raise


class RemoteBackend:
    """A model that a server runs; see `Backend`."""

    def __init__(
        self, connection: Connection, served: Served, *, max_parallel: int = MAX_PARALLEL
    ) -> None:
        self.connection, self.served, self.flavour = connection, served, served.flavour
        self.name, self.thinks = served.model, served.thinks
        self.n_ctx = served.n_ctx or UNKNOWN_N_CTX
        self.tells_n_ctx = served.n_ctx is not None
        self.max_parallel = min(max_parallel, served.flavour.at_a_time or max_parallel)
        self.models: Sequence[str] = served.models
        self.bare_questions = catalog.bare_questions(served.model)
        self.defaults = catalog.defaults(served.model)
        self._news = News()
        self._size = PromptSize()
        self._streams: weakref.WeakSet[RemoteStream] = weakref.WeakSet()

    def __repr__(self) -> str:
        return f"<RemoteBackend {self.name} at {self.connection.place.host} ({self.flavour.name})>"

    @property
    def label(self) -> str:
        """The model's name and where it is: what a run over this server is known by."""
        return f"{self.name} at {self.connection.place.base}"

    def list_models(self) -> Sequence[str]:
        """See `OneOfSeveral.list_models`."""
        self.models = list_models(self.connection)
        return self.models

    @property
    def retry(self) -> Retry | None:
        """See `TellsRetries.retry`."""
        return self._news.retry

    @property
    def step_costs(self) -> StepCosts:
        """See `KnowsStepCosts`: what runs side by side there costs nothing here."""
        return StepCosts((1, MAX_PARALLEL), (1.0, 1.0))

    def room_for(self, reply_tokens: int) -> int:
        """See `Backend.room_for`: who waits is the server's matter."""
        return self.max_parallel

    def check(self, settings: Settings, prompt_tokens: int = 0) -> None:
        """See `Backend.check`."""
        self.connection.check_open()
        settings.check_context(self.n_ctx)
        parsing(settings)
        requests.check(self.flavour, settings)
        if self._size.too_long(prompt_tokens, self.n_ctx):
            raise ContextFull(prompt_tokens, self.n_ctx, estimated=True, served=True)

    def stream(
        self, messages: Sequence[Message], settings: Settings, options: StreamOptions
    ) -> RemoteStream:
        """See `Backend.stream`."""
        self.check(settings, self.count_tokens(messages))
        begun_of(messages, settings)
        requests.check_logprobs(self.flavour, options.logprobs)
        seed = random.randrange(MAX_SEED) if settings.seed is None else settings.seed
        asked = Request(
            self.flavour,
            self.name,
            tuple(messages),
            settings,
            seed,
            logprobs=options.logprobs,
            confidences=options.watch_confidence,
        )
        asked.body()  # raises for messages that cannot be told
        stream = RemoteStream(
            self.connection,
            self._news,
            asked,
            options,
            size=self._size,
            parse=parsing(settings),
        )
        self._streams.add(stream)
        return stream

    def count_tokens(self, messages: Sequence[Message], *, at_most: int | None = None) -> int:
        """See `Backend.count_tokens`: an estimate, for the server has the vocabulary."""
        self.connection.check_open()
        return self._size.count(messages)

    def prefill(
        self,
        messages: Sequence[Message],
        stopped: Callable[[], bool],
        *,
        cache_scope: str = "",
    ) -> int:
        """See `Backend.prefill`: a server cannot be asked for it."""
        self.connection.check_open()
        return 0

    def release(self) -> None:
        """See `Backend.release`: there is nothing to give back."""

    def close(self) -> None:
        """See `Backend.close`."""
        for stream in list(self._streams):
            stream.close()
        self.connection.close()
