"""What a server is: its kind, and the model that is meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

UNKNOWN_N_CTX = 131_072
"""The context of a model of which the server says nothing."""

_SIZES = (
    ("minireason", "n_ctx"),
    ("max_model_len",),
    ("meta", "n_ctx"),
    ("meta", "n_ctx_train"),
    ("context_length",),
)
"""Where lists of models have the context: ours, vLLM and SGLang, llama-server (two), others."""


@dataclass(frozen=True, slots=True)
class Served:
    """A model of a server."""

    flavour: Flavour
    model: str
    n_ctx: int
    thinks: bool
    models: tuple[str, ...]
    """The names of all models that the server has."""


def look(connection: Connection, model: str | None, flavour: str) -> Served:
    """Ask a server what it is and has; raises ServerError, NotServed or UsageError."""
    entries = _entries(connection)
    entry = _entry(connection.place.host, entries, model)
    kind = _kind(connection, entry) if flavour == AUTO else FLAVOURS[flavour]
    sizes = (pieces.count(entry, *path) for path in _SIZES)
    n_ctx = next((size for size in sizes if size), UNKNOWN_N_CTX)
    own = entry.get("minireason")
    thinks = bool(own.get("thinks", True)) if isinstance(own, Mapping) else True
    name = str(entry["id"])
    if kind.raw and not catalog.opens(name):
        kind = replace(kind, raw=False)  # its tags, if any, are all in its text
    return Served(kind, name, n_ctx, thinks, _names(entries))


def list_models(connection: Connection) -> tuple[str, ...]:
    """The names of a server's models; raises ServerError."""
    return _names(_entries(connection))


def _names(entries: list[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(str(entry["id"]) for entry in entries)


def _entries(connection: Connection) -> list[Mapping[str, Any]]:
    """The models of a server; where its URL lacks the "/v1", it is put there."""
    place = connection.place
    status, body = connection.get(f"{place.base}/models")
    entries = _listed(body)
    if not entries and not place.base.endswith("/v1"):
        _, body = connection.get(f"{place.base}/v1/models")
        if entries := _listed(body):
            connection.place = replace(place, base=f"{place.base}/v1")
    if entries:
        return entries
    if status >= 500:
        raise ServerError(f"{place.host} cannot answer now (status {status}); try later.", status)
    raise ServerError(
        f"{place.host} lists no models at {place.base}/models, so it is no server of OpenAI's "
        "protocol; give the URL up to its /v1.",
        status,
    )


def _listed(body: Any) -> list[Mapping[str, Any]]:
    data = body.get("data") if isinstance(body, Mapping) else None
    listed = data if isinstance(data, Sequence) and not isinstance(data, str) else []
    return [entry for entry in listed if isinstance(entry, Mapping) and _name(entry)]


def _name(entry: Mapping[str, Any]) -> str:
    """The name of a model, "" for what is none."""
    name = entry.get("id")
    return name if isinstance(name, str) and name.isprintable() else ""


def _by_owner(entry: Mapping[str, Any]) -> Flavour | None:
    """The flavour that is known by the owner of a model."""
    owner = entry.get("owned_by")
    return OWNERS.get(owner) if isinstance(owner, str) else None


def _entry(host: str, entries: list[Mapping[str, Any]], model: str | None) -> Mapping[str, Any]:
    """The entry of the model that is meant."""
    names = _names(entries)
    if model is None:
        own = _by_owner(entries[0]) is OURS
        if len(entries) == 1 or own:  # ours names its default first
            return entries[0]
        raise UsageError(
            f"{host} has several models; name one: {shortened(', '.join(names), 400)}."
        )
    for entry in entries:
        if entry["id"] == model:
            return entry
    raise NotServed(host, model, names)


def _kind(connection: Connection, entry: Mapping[str, Any]) -> Flavour:
    """The flavour, by the list of models, by the host, or by what else the server answers."""
    place = connection.place
    name = place.host.partition(":")[0]
    if known := HOSTS.get(name) or _by_owner(entry):
        return known
    for path, field, flavour in (
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
            return flavour
    return PLAIN
