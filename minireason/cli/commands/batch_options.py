"""The options of minireason batch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from minireason.checks import checked, whole
from minireason.cli.commands.solve import parallel_of
from minireason.errors import UsageError
from minireason.settings import VoteSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Batching:
    """The options of a batch. Raises BadSetting."""

    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT.jsonl",
            help="Where the replies go; beside it OUT.jsonl.run says of which run they are.",
            show_default=False,
        ),
    ]
    samples: Annotated[
        int | None,
        typer.Option(
            "--samples", "-n", help="Replies to each question. Default: 1.", show_default=False
        ),
    ] = None
    parallel: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Replies at a time. Default: auto, what memory holds and this machine gains from.",
            show_default=False,
        ),
    ] = None
    in_order: Annotated[
        bool,
        typer.Option(
            "--in-order", help="Write replies in the order of the lines, not as they end."
        ),
    ] = False

    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Run on a Ray cluster, HOST:PORT of its head; auto starts one here.",
            show_default=False,
        ),
    ] = None
    actors: Annotated[
        int | None,
        typer.Option(
            help="Workers on Ray. Default: what cores and memory hold; with --url one a machine.",
            show_default=False,
        ),
    ] = None

    def __post_init__(self) -> None:
        if self.actors is not None:
            checked("actors", self.actors, whole(1, 100_000))
            if self.ray is None:
                raise UsageError("--actors says how many workers there are on Ray; add --ray auto.")
        VoteSettings(samples=self.replies_each, parallel=self.batch_size)

    @property
    def replies_each(self) -> int:
        """How many replies each question gets."""
        return 1 if self.samples is None else self.samples

    @property
    def batch_size(self) -> int | Literal["auto"]:
        """How many replies run at a time."""
        return "auto" if self.parallel is None else parallel_of(self.parallel)
