"""minireason models --url: the models of a server, and what it tells of them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from minireason.cli.remote import Remote
from minireason.cli.terminal import table
from minireason.cli.terminal.table import Columns

if TYPE_CHECKING:
    from minireason.backends.remote.asking import Listed

_HEADERS = ["model", "context", "thinks", "loaded", "params", "GB", "owner"]
_YES = {True: "yes", False: "no", None: ""}


def run(remote: Remote, *, as_json: bool) -> int:
    """Print the list; raises UsageError or ServerError."""
    from minireason.backends.remote import asking

    with remote.connected() as connection:
        listed = asking.listed(connection)
    if as_json:
        print(json.dumps([asdict(model) for model in listed]))
        return 0
    rows = [_cells(model) for model in listed]
    told = [column for column in range(len(_HEADERS)) if any(row[column] for row in rows)]
    table.print_table(
        [_HEADERS[column] for column in told],
        [[row[column] for column in told] for row in rows],
        Columns(drop=range(len(told) - 1, 0, -1)),
    )
    return 0


def _cells(model: Listed) -> list[str]:
    return [
        model.model,
        f"{model.n_ctx:,}" if model.n_ctx else "",
        _YES[model.thinks],
        _YES[model.loaded],
        _params(model.params),
        table.gigabytes(model.bytes),
        model.owner,
    ]


def _params(count: int | None) -> str:
    """A number of parameters as names of models have it, such as "1.8B"."""
    if not count:
        return ""
    return f"{count / 1e9:.1f}B" if count >= 10**8 else f"{count / 1e6:.0f}M"
