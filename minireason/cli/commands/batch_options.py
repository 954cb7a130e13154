"""The options of minireason batch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from minireason.batch.share import Bounds
from minireason.cli.commands.solve import parallel_of
from minireason.errors import BadSetting, UsageError
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
        str | None,
        typer.Option(
            metavar="N",
            help="Workers on Ray, or MIN-MAX of them where it grows. Default: what cores and "
            "memory hold; with --url one a machine.",
            show_default=False,
        ),
    ] = None

    def __post_init__(self) -> None:
        if self.actors is not None:
            bounds_of(self.actors)
            if self.ray is None:
                raise UsageError("--actors says how many workers there are on Ray; add --ray auto.")
        VoteSettings(samples=self.replies_each, parallel=self.batch_size)

    @property
    def replies_each(self) -> int:
        """How many replies each question gets."""
        return 1 if self.samples is None else self.samples

    @property
    def workers(self) -> Bounds | None:
        """How many workers there are on Ray, where that was said."""
        return None if self.actors is None else bounds_of(self.actors)

    @property
    def batch_size(self) -> int | Literal["auto"]:
        """How many replies run at a time."""
        return "auto" if self.parallel is None else parallel_of(self.parallel)


def bounds_of(typed: str) -> Bounds:
    """The numbers of workers that were typed: "4", or "2-8"; raises BadSetting."""
    numbers = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", typed, re.ASCII)
    if numbers:
        bounds = Bounds(int(numbers[1]), int(numbers[2] or numbers[1]))
        if 1 <= bounds.least <= bounds.most:
            return bounds
    problem = "has to be a whole number from 1 on, or the least and the most such as 2-8"
    raise BadSetting("actors", typed, problem)
