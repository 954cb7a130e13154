"""The options of minireason eval."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from minireason.cli.commands.solve import Batch
from minireason.cli.options import Asked
from minireason.cli.remote import Remote
from minireason.errors import BadSetting, UsageError
from minireason.settings import VoteSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation(Batch):
    """The options of an evaluation; None where the user said nothing. Raises BadSetting."""

    samples: Annotated[
        int | None,
        typer.Option(
            "--samples",
            "-n",
            help="Chains for each item. Default: 1; with --replay all there are.",
            show_default=False,
        ),
    ] = None
    limit: Annotated[
        int | None, typer.Option(help="Only the first items of the set.", show_default=False)
    ] = None
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="Where the chains are kept. Default: a file in the data directory.",
            show_default=False,
        ),
    ] = None
    replay: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Generate nothing: what each stopping rule would have cost and answered, "
            "by these traces.",
            show_default=False,
        ),
    ] = None
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Draw accuracy against tokens and agreement against correctness "
            "(.png, .svg, .pdf).",
            show_default=False,
        ),
    ] = None

    def __post_init__(self) -> None:
        VoteSettings(**self.changes)
        if self.limit is not None and (not isinstance(self.limit, int) or self.limit < 1):
            raise BadSetting("limit", self.limit, "has to be a whole number, 1 or more")

    @property
    def batch_size(self) -> int | Literal["auto"]:
        """How many chains run at a time."""
        return self.changes.get("parallel", "auto")

    def check_replay(self, file: Path | None, asked: Asked, remote: Remote) -> None:
        """Raise UsageError for what means nothing where nothing is generated."""
        of_a_run = file or self.output or self.limit or self.instruction
        if of_a_run or asked != Asked(offline=asked.offline) or remote != Remote():
            raise UsageError(
                "--replay reads what is there; beside it only --samples, --parallel, --plot and "
                "--json mean anything."
            )
