"""What a server is: its kind, and the model that is meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from minireason.backends.remote import pieces
from minireason.backends.remote.connection import Connection
from minireason.backends.remote.flavours import (
    AUTO,
    FLAVOURS,
    HOSTS,
    LLAMA_SERVER,
    OLLAMA,
    OURS,
    OWNERS,
    PLAIN,
    SGLANG,
    VLLM,
    Flavour,
)
from minireason.errors import NotServed, ServerError, UsageError, shortened
from minireason.models import catalog
from minireason.reasoning.think import OPEN

UNKNOWN_N_CTX = 131_072
"""The context of a model of which the server says nothing."""

MOST_NAME_CHARS = 1000
"""No model has a longer name, though some servers name them by a path."""

LAST_TOKENS = 16
"""So many of a prompt's tokens have room for what opens a thought."""

_SIZES = (
    ("minireason", "n_ctx"),
    ("max_model_len",),
    ("meta", "n_ctx"),
    ("meta", "n_ctx_train"),
    ("context_length",),
)
"""Where lists of models have the context: ours, vLLM and SGLang, llama-server (two), others."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A model as far as its server's list tells; None is what it does not."""

    model: str
    """The name to ask for it by."""

    n_ctx: int | None
    """The most tokens that a prompt and its reply may have together."""

    thinks: bool | None
    """Whether it is a thinking model."""

    loaded: bool | None
    """Whether it is in memory."""

    params: int | None
    """How many parameters it has."""

    bytes: int | None
    """The size of its file."""

    owner: str
    """Whom the server calls its owner, which mostly is the kind of server; "" for nobody."""

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Listed:
        """The model of an entry of a list."""
        own = entry.get("minireason")
        told = own if isinstance(own, Mapping) else {}
        thinks, loaded = told.get("thinks"), told.get("loaded")
        sizes = (pieces.count(entry, *path) for path in _SIZES)
        return cls(
            model=_word(entry, "id"),
            n_ctx=next((size for size in sizes if size), None),
            thinks=thinks if isinstance(thinks, bool) else None,
            loaded=loaded if isinstance(loaded, bool) else None,
            params=pieces.count(entry, "meta", "n_params"),
            bytes=pieces.count(entry, "meta", "size"),
            owner=_word(entry, "owned_by"),
        )


@dataclass(frozen=True, slots=True)
class Served:
    """A model of a server."""

    flavour: Flavour
    model: str
    n_ctx: int | None
    """The context, None where the server does not tell."""
    thinks: bool
    models: tuple[str, ...]
    """The names of all models that the server has."""


def look(connection: Connection, model: str | None, flavour: str) -> Served:
    """Ask a server what it is and has; raises ServerError, NotServed or UsageError."""
    models = listed(connection)
    meant = _meant(connection.place.host, models, model)
    kind, _ = kind_of(connection, meant, flavour)
    if kind.raw and not catalog.opens(meant.model):
        kind = replace(kind, raw=False)  # its tags, if any, are all in its text
    if kind.name == SGLANG.name and _opens_thought(connection, meant.model):
        kind = replace(kind, opens_thought=True, thinking_off={})  # we close it, not the template
    return Served(kind, meant.model, meant.n_ctx, meant.thinks is not False, _names(models))


def list_models(connection: Connection) -> tuple[str, ...]:
    """The names of a server's models; raises ServerError."""
    return _names(listed(connection))


def _names(models: Sequence[Listed]) -> tuple[str, ...]:
    return tuple(model.model for model in models)


def listed(connection: Connection) -> list[Listed]:
    """The models of a server, at least one; where its URL lacks the "/v1", it is put there.

    Raises ServerError.
    """
    place = connection.place
    status, body = connection.get(f"{place.base}/models")
    models = _read(body)
    if not models and not place.base.endswith("/v1"):
        _, body = connection.get(f"{place.base}/v1/models")
        if models := _read(body):
            connection.place = replace(place, base=f"{place.base}/v1")
    if models:
        return models
    if status >= 500:
        raise ServerError(f"{place.host} cannot answer now (status {status}); try later.", status)
    raise ServerError(
        f"{place.host} lists no models at {place.base}/models, so it is no server of OpenAI's "
        "protocol; give the URL up to its /v1.",
        status,
    )


def _read(body: Any) -> list[Listed]:
    """The models in a list; none where it is no list."""
    data = body.get("data") if isinstance(body, Mapping) else None
    entries = data if isinstance(data, Sequence) and not isinstance(data, str) else []
    return [
        Listed.of(entry) for entry in entries if isinstance(entry, Mapping) and _word(entry, "id")
    ]


def _word(entry: Mapping[str, Any], field: str) -> str:
    """A name out of an entry, "" for what is none."""
    name = entry.get(field)
    is_name = isinstance(name, str) and len(name) <= MOST_NAME_CHARS and name.isprintable()
    return str(name) if is_name else ""


def _meant(host: str, models: list[Listed], name: str | None) -> Listed:
    """The model of a name, or the one that is meant where none is said."""
    names = _names(models)
    if name is None:
        own = OWNERS.get(models[0].owner) is OURS
        if len(models) == 1 or own:  # ours names its default first
            return models[0]
        raise UsageError(
            f"{host} has several models; name one: {shortened(', '.join(names), 400)}."
        )
    for model in models:
        if model.model == name:
            return model
    raise NotServed(host, name, names)


def _opens_thought(connection: Connection, model: str) -> bool:
    """Whether a template of SGLang's has opened the thought where a message is gone on with.

    SGLang renders the prompt of a new answer, and puts the message behind it (serving_chat.py). Its
    `tokenize` tells that prompt; older ones take no messages, and are not known to open it.
    """
    base = connection.place.base
    asked = {"model": model, "messages": [{"role": "user", "content": "?"}]}
    with suppress(ServerError):
        _, told = connection.post(f"{base}/tokenize", asked)
        tokens = told.get("tokens") if isinstance(told, Mapping) else None
        last_tokens = tokens[-LAST_TOKENS:] if isinstance(tokens, list) else []
        if not last_tokens or not all(isinstance(token, int) for token in last_tokens):
            return False
        last = {"model": model, "tokens": last_tokens, "skip_special_tokens": False}
        _, told = connection.post(f"{base}/detokenize", last)
        text = told.get("text") if isinstance(told, Mapping) else None
        return isinstance(text, str) and text.rstrip().endswith(OPEN)
    return False


def kind_of(connection: Connection, model: Listed, flavour: str) -> tuple[Flavour, str]:
    """The flavour, and how it is known: as named, or where that is AUTO by the server itself.

    That is by the host, by the list of models, or by what else the server answers.
    """
    if flavour != AUTO:
        return FLAVOURS[flavour], "as it was named"
    place = connection.place
    if known := HOSTS.get(place.host.partition(":")[0]):
        return known, "by its host"
    if known := OWNERS.get(model.owner):
        return known, f'by the owner of its models, "{model.owner}"'
    for path, field, kind in (
        ("/props", "default_generation_settings", LLAMA_SERVER),
        ("/get_model_info", "model_path", SGLANG),
        ("/api/version", "version", OLLAMA),
        ("/version", "version", VLLM),
    ):
        try:
            status, body = connection.get(f"{place.root}{path}")
        except ServerError:
            continue  # a host that shows only its API
        if status == 200 and isinstance(body, Mapping) and field in body:
            return kind, f"by its answer to {path}"
    return PLAIN, "as nothing tells of another"
