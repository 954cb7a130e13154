"""Traces on disk: the checkpoint of a run, one chain a line, only ever appended to.

What is there is not generated again. A chain that went round in circles has two lines, the second
one for the chain that replaced it. See `trace_format` for the lines, `host.journal` for the file.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from minireason.errors import UsageError
from minireason.evaluation import trace_format
from minireason.evaluation.items import Item
from minireason.evaluation.trace_format import Run
from minireason.host import paths
from minireason.host.journal import Appender, read
from minireason.runs import begun, resumed
from minireason.voting.solution import Chain


@dataclass(slots=True)
class Traces:
    """What there is of a run."""

    path: Path
    """Its file."""

    run: Run
    """What makes it itself."""

    items: dict[int, Item] = field(default_factory=dict)
    """The items that have chains, by their lines in the set."""

    chains: dict[tuple[int, int], list[Chain]] = field(default_factory=dict)
    """By item and index the chain, and the one that replaced it; without their texts."""

    seconds: float = 0.0
    """How long the run took so far."""

    damaged: int = 0
    """Lines of the file that make no sense and are left out."""

    length: int | None = None
    """Bytes of the file that are whole lines; None where there is no file."""

    def missing(self, items: Sequence[Item], samples: int) -> list[tuple[Item, int, bool]]:
        """What is left to run: item, index of the chain, whether its first try was a loop."""
        return [
            (item, index, bool(tries))
            for item in items
            for index, tries in enumerate(self._tries(item, samples))
            if not _is_whole(tries, samples)
        ]

    def tries(self, item: Item, samples: int) -> list[list[Chain]] | None:
        """The chains of an item up to this number; None if some are missing."""
        chains = self._tries(item, samples)
        return chains if all(_is_whole(tries, samples) for tries in chains) else None

    def add(self, item: Item, chain: Chain) -> None:
        """Count a chain in, without its texts, which nothing here needs and which may be long."""
        self.items[item.number] = item
        tries = self.chains.setdefault((item.number, chain.index), [])
        tries.append(replace(chain, thinking="", text="", parsed=None))

    def _tries(self, item: Item, samples: int) -> list[list[Chain]]:
        return [self.chains.get((item.number, index), []) for index in range(samples)]


def _is_whole(tries: Sequence[Chain], samples: int) -> bool:
    """Whether a chain ran, and another one for it if it went round in circles.

    A single reply counts as it is: only in a vote there is another.
    """
    return bool(tries) and not (samples > 1 and len(tries) == 1 and tries[0].replaced)


def default_path(run: Run) -> Path:
    """Where a run is kept unless the user names a file.

    Every different run has one of its own, so that the same command finds it.
    """
    digest = hashlib.sha256(json.dumps(asdict(run), sort_keys=True).encode()).hexdigest()[:10]
    name = re.sub(r"[^\w.-]+", "-", f"{Path(run.set).stem}.{run.model}.{digest}.jsonl")
    return paths.data_dir() / "evals" / name


def load(path: Path) -> Traces:
    """Read traces.

    Raises UsageError if the file cannot be read, is none, or is of a newer minireason.
    """
    try:
        lines = read(path)
        head = next(lines, None)
        run = trace_format.read_head(path, head.value if head else None)
        traces = Traces(path, run, length=head.end if head else None)
        for line in lines:
            try:
                item, chain, traces.seconds = trace_format.read_line(line.value)
                traces.add(item, chain)
            except ValueError:
                traces.damaged += 1
            traces.length = line.end
    except OSError as error:
        raise UsageError(
            f"The traces {path} cannot be read ({error.strerror}); give a file that minireason "
            "eval wrote."
        ) from None
    return traces


def resume(path: Path, run: Run) -> Traces:
    """What there is of a run, perhaps nothing yet.

    A run without a seed has that of the file, or draws one. Raises UsageError if the file is
    another run's or holds no traces.
    """
    if not path.exists() or (path.is_file() and not path.stat().st_size):
        return Traces(path, begun(run), length=0 if path.exists() else None)
    traces = load(path)
    traces.run = resumed(path, traces.run, run)
    return traces


class Writer(Appender):
    """A run's file, open for more chains."""

    def __init__(self, traces: Traces) -> None:
        """Cut a torn last line off. Raises StoreError."""
        self._traces, self._before, self._began = traces, traces.seconds, time.perf_counter()
        self._head = () if traces.length else (trace_format.head(traces.run),)
        super().__init__(traces.path, traces.length, "traces")

    def write(self, item: Item, chain: Chain) -> None:
        """Add a chain's line, and before the first of a file its head; see `append`."""
        self._traces.seconds = round(self._before + time.perf_counter() - self._began, 3)
        self.append(*self._head, trace_format.line(item, chain, self._traces.seconds))
        self._head = ()
        self._traces.add(item, chain)
