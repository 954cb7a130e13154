"""Two or more sides in turn, and the ratio of ours to the best of the others: rows of a table."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from tools import ToolFailed

Values = dict[str, float]
Run = Callable[[int], Values]
"""Runs a side once, with this number of the round as its seed; values by name."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: which value is compared, and what is to be reached.

    `target` is the ratio ours / theirs; None where there is none. `peers` are the sides of which
    the best one counts; () takes all.
    """

    title: str
    value: str
    better: Literal["higher", "lower"] = "higher"
    target: float | None = None
    peers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """What is measured together: our side, the others by name, and the rows that come of it."""

    name: str
    ours: Run
    peers: dict[str, Run]
    rows: tuple[Row, ...]


@dataclass(slots=True)
class Measured:
    """The values of each side and round, and why a side has none."""

    ours: list[Values] = field(default_factory=list)
    peers: dict[str, list[Values]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Line:
    """A row with its medians; the ratio is the median of those of the rounds."""

    row: Row
    peer: str
    ours: float
    theirs: float
    ratios: tuple[float, ...]

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    @property
    def verdict(self) -> str:
        """Whether the target is met; "" where there is none."""
        if self.row.target is None:
            return ""
        higher = self.row.better == "higher"
        met = self.ratio >= self.row.target if higher else self.ratio <= self.row.target
        return "met" if met else "missed"

    def cells(self) -> tuple[str, ...]:
        """The line's columns, see TITLES."""
        sign = ">=" if self.row.better == "higher" else "<="
        target = "" if self.row.target is None else f"{sign} {self.row.target:g}"
        spread = f"{min(self.ratios):.2f} to {max(self.ratios):.2f}"
        return (
            self.row.title,
            number(self.ours),
            number(self.theirs),
            self.peer,
            f"{self.ratio:.2f}",
            spread,
            target,
            self.verdict,
        )


TITLES = ("", "minireason", "other", "which", "ratio", "spread", "target", "")


def number(value: float) -> str:
    """Three figures, or all of a large number."""
    digits = sum(value < limit for limit in (100, 10, 1))
    return f"{value:,.{digits}f}"


def measure(group: Group, rounds: int) -> Measured:
    """Run all sides in turn; what fails once is left out from there on.

    Raises ToolFailed where ours does.
    """
    measured = Measured()
    for seed in range(1, rounds + 1):
        measured.ours.append(group.ours(seed))
        for name, run in group.peers.items():
            if name in measured.failed:
                continue
            try:
                measured.peers.setdefault(name, []).append(run(seed))
            except ToolFailed as error:
                measured.failed[name] = str(error)
                measured.peers.pop(name, None)
                print(f"{name} is left out: {error}", file=sys.stderr)
    return measured


def lines(group: Group, measured: Measured) -> Iterable[Line]:
    """The lines of a group; a row none of whose peers ran has none."""
    for row in group.rows:
        names = [name for name in row.peers or group.peers if name in measured.peers]
        if names:
            yield line(row, measured, names)


def line(row: Row, measured: Measured, names: list[str]) -> Line:
    """A row against the best of these peers."""
    medians = {
        name: statistics.median(values[row.value] for values in measured.peers[name])
        for name in names
    }
    best = max if row.better == "higher" else min
    peer = best(medians, key=lambda name: medians[name])
    ours = [values[row.value] for values in measured.ours]
    theirs = [values[row.value] for values in measured.peers[peer]]
    ratios = tuple(mine / other for mine, other in zip(ours, theirs, strict=True))
    return Line(row, peer, statistics.median(ours), medians[peer], ratios)


def reported(group: Group, rounds: int) -> list[dict[str, Any]]:
    """Measure a group and print its lines; where our side fails, say so and go on."""
    try:
        values = measure(group, rounds)
    except ToolFailed as error:
        print(f"{group.name}: {error}", file=sys.stderr)
        return [{"group": group.name, "failed": str(error)}]
    for line in lines(group, values):
        print(table_row(line.cells()), flush=True)
    return [as_json(group, values)]


def table_row(cells: Iterable[str]) -> str:
    """A line of a table in Markdown."""
    return f"| {' | '.join(cells)} |"


def table_head() -> str:
    """The titles of the columns, and the line below them."""
    return f"{table_row(TITLES)}\n|{'---|' * len(TITLES)}"


def as_json(group: Group, measured: Measured) -> dict[str, Any]:
    """All that was measured of a group."""
    ratios = {f"{line.row.title} / {line.peer}": line.ratio for line in lines(group, measured)}
    return {
        "group": group.name,
        "ratios": ratios,
        "ours": measured.ours,
        "peers": measured.peers,
        "failed": measured.failed,
    }
