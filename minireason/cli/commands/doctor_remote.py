"""minireason doctor --url: what a server is, what it has, and which settings it can follow."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from minireason.cli.finding import Finding
from minireason.cli.remote import Remote
from minireason.errors import ServerError, shown

if TYPE_CHECKING:
    from minireason.backends.remote.asking import Listed
    from minireason.backends.remote.connection import Connection
    from minireason.backends.remote.named import Target

_MODELS_SHOWN = 8


def findings(remote: Remote) -> list[Finding]:
    """What there is to say of the server; raises UsageError where --url is none."""
    with remote.connected() as connection:
        try:
            return list(_of_server(connection, remote.target))
        except ServerError as error:
            return [Finding("server", f"{connection.place.base} cannot be used", str(error))]


def _of_server(connection: Connection, target: Target) -> Iterable[Finding]:
    from minireason.backends.remote import asking
    from minireason.backends.remote.abilities import abilities

    models = asking.listed(connection)
    began = time.perf_counter()
    asking.listed(connection)  # over the connection that is open now
    round_trip_ms = 1000 * (time.perf_counter() - began)
    place = connection.place
    yield Finding("server", f"{place.base} answers in {round_trip_ms:.0f} ms")
    meant = next((model for model in models if model.model == target.model), models[0])
    kind, how = asking.kind_of(connection, meant, target.flavour)
    yield Finding("kind", f"{kind.name}, {how}")
    yield Finding("API key", "sent with each request" if place.key else "none")
    yield from _of_models(models, target.model)
    for ability in abilities(kind):
        yield Finding(ability.setting, f"{ability.way}: {ability.means}")


def _of_models(models: Sequence[Listed], named: str | None) -> Iterable[Finding]:
    """The first models, each with what is told of it; `named` is that of remotes.toml."""
    for model in models[:_MODELS_SHOWN]:
        yield Finding("model", ", ".join([model.model, *_facts(model)]))
    if len(models) > _MODELS_SHOWN:
        more = len(models) - _MODELS_SHOWN
        yield Finding("model", f"and {more:,} more; minireason models --url lists them")
    if named is not None and named not in [model.model for model in models]:
        lacking = f"{shown(named)} of remotes.toml is not there"
        yield Finding("model", lacking, "name one there that the server has")


def _facts(model: Listed) -> Iterable[str]:
    from minireason.backends.remote.asking import UNKNOWN_N_CTX

    if model.n_ctx:
        yield f"{model.n_ctx:,} tokens of context"
    else:
        yield f"context not told, {UNKNOWN_N_CTX:,} tokens are taken for it"
    if model.thinks is not None:
        yield "thinks" if model.thinks else "does not think"
