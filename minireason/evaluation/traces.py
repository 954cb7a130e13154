"""Traces on disk: a head that says which run it is, then one chain a line, only ever appended to (see `journal.py`).

    {"minireason_traces": 1, "run": {"model": "tiny", "seed": 7, ...}, ...}
    {"line": 1, "item": {"question": "What is 2 + 2?", "answer": "4"}, "chain": {"index": 0, "answer": "4", ...}, "run_s": 1.5}

They are the checkpoint of a run: what is there is not generated again. `run_s` is how long the run has taken up to there, over all
its parts. A chain that went round in circles has two lines, the second one for the chain that replaced it.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from minireason.errors import StoreError, UsageError
from minireason.evaluation.items import Item
from minireason.host import paths
from minireason.host.journal import Journal, read
from minireason.host.lock import FileLock
from minireason.models import store
from minireason.settings import MAX_SEED
from minireason.version import __version__
from minireason.voting.solution import Chain

VERSION = 1

_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("index", "seed", "tokens"), (int,)),
    **dict.fromkeys(("temperature", "total_s"), (int, float)),
    **dict.fromkeys(("thinking", "text", "finish"), (str,)),
    **dict.fromkeys(("answer", "key", "thinking_end"), (str, type(None))),
    "confidence": (int, float, type(None)),
    "replaced": (bool,),
}

_RUN_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("model", "model_sha256", "set", "set_sha256", "instruction"), (str,)),
    "seed": (int, type(None)),
    "system": (str, type(None)),
    "settings": (dict,),
}

_MOST = {
    "index": 10_000,
    "seed": MAX_SEED,
    **dict.fromkeys(("tokens", "temperature", "total_s", "confidence"), 1e9),
}
"""What a chain's numbers, none of which is negative, do not exceed: a file may say anything, and they are counted and added up."""


@dataclass(frozen=True, slots=True)
class Run:
    """What makes a run itself: the model and its hash, the set and its hash, and everything that decides what a chain says.

    How many chains each item has and how many run at a time is not among it: a run can go on with more.
    """

    model: str
    model_sha256: str
    set: str
    set_sha256: str
    seed: int | None
    system: str | None
    instruction: str
    settings: dict[str, object]


@dataclass(slots=True)
class Traces:
    """The chains of a run, by item and index each with the one that replaced it, without their texts; `seconds` it took so far."""

    path: Path
    run: Run
    items: dict[int, Item] = field(default_factory=dict)
    chains: dict[tuple[int, int], list[Chain]] = field(default_factory=dict)
    seconds: float = 0.0
    damaged: int = 0
    length: int | None = None

    def missing(self, items: Sequence[Item], samples: int) -> list[tuple[Item, int, bool]]:
        """What is left to run: item, index of the chain, and whether its first try went round in circles."""
        wanted = (
            (item, index, self.chains.get((item.number, index), []))
            for item in items
            for index in range(samples)
        )
        return [
            (item, index, bool(tries))
            for item, index, tries in wanted
            if not _whole(tries, samples)
        ]

    def tries(self, item: Item, samples: int) -> list[list[Chain]] | None:
        """The chains of an item up to this number; None if some are missing."""
        found = [self.chains.get((item.number, index), []) for index in range(samples)]
        return found if all(_whole(tries, samples) for tries in found) else None

    def add(self, item: Item, chain: Chain) -> None:
        """Count a chain in, without its texts, which nothing here needs and which may be long."""
        self.items[item.number] = item
        self.chains.setdefault((item.number, chain.index), []).append(
            replace(chain, thinking="", text="", parsed=None)
        )


def _whole(tries: Sequence[Chain], samples: int) -> bool:
    """Whether a chain ran, and another one for it if it went round in circles: only in a vote, a single reply counts as it is."""
    return bool(tries) and not (samples > 1 and len(tries) == 1 and tries[0].replaced)


def default_path(run: Run) -> Path:
    """Where a run is kept unless the user names a file: one for every different run, so that the same command finds its own."""
    digest = hashlib.sha256(json.dumps(asdict(run), sort_keys=True).encode()).hexdigest()[:10]
    name = re.sub(r"[^\w.-]+", "-", f"{Path(run.set).stem}.{run.model}.{digest}.jsonl")
    return paths.data_dir() / "evals" / name


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a run's file against other processes; raises UsageError if another one has it, or StoreError."""
    locks = paths.data_dir() / "locks"
    lock = FileLock(locks / hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:32])
    try:
        locks.mkdir(parents=True, exist_ok=True)
        acquired = lock.acquire()
    except OSError as error:
        raise store.cannot_write(locks, error) from None
    if not acquired:
        raise UsageError(
            f"Another minireason eval is writing to {path}; wait for it, or name another file "
            "with -o."
        )
    try:
        yield
    finally:
        lock.release()


def load(path: Path) -> Traces:
    """Read traces; raises UsageError if the file cannot be read, is none, or is of a newer minireason."""
    try:
        lines = read(path)
        head = next(lines, None)
        traces = _begin(path, head.value if head else None)
        for line in lines:
            _take(traces, line.value)
            traces.length = line.end
    except OSError as error:
        raise UsageError(
            f"The traces {path} cannot be read ({error.strerror}); give a file that minireason eval wrote."
        ) from None
    if traces.length is None and head:
        traces.length = head.end
    return traces


def resume(path: Path, run: Run) -> Traces:
    """What there is of a run, perhaps nothing yet; one without a seed takes that of the file, or draws one.

    Raises UsageError if the file is another run's or holds no traces.
    """
    new = not path.exists() or (path.is_file() and not path.stat().st_size)
    traces = Traces(path, run, length=0 if path.exists() else None) if new else load(path)
    if run.seed is None:
        run = replace(run, seed=random.randrange(MAX_SEED) if new else traces.run.seed)
    if new:
        traces.run = run
    if different := [
        field.name
        for field in fields(Run)
        if getattr(traces.run, field.name) != getattr(run, field.name)
    ]:
        raise UsageError(
            f"{path} belongs to another run ({_difference(traces.run, run, different[0])}); name another file with -o."
        )
    return traces


class Writer:
    """Appends chains to a run's file."""

    def __init__(self, traces: Traces) -> None:
        self._traces, self._before, self._began = traces, traces.seconds, time.perf_counter()
        self._journal = Journal(traces.path, traces.length)
        self._headless = not traces.length

    def write(self, item: Item, chain: Chain) -> None:
        """Keep a chain, for good once this returns; raises StoreError."""
        self._traces.seconds = round(self._before + time.perf_counter() - self._began, 3)
        entry = {
            "line": item.number,
            "item": item.json(),
            "chain": asdict(chain),
            "run_s": self._traces.seconds,
        }
        try:
            self._journal.append([*([head(self._traces.run)] if self._headless else []), entry])
        except OSError as error:
            problem = f"The traces cannot be written to {self._traces.path} ({error.strerror})"
            raise StoreError(f"{problem}; mend that, and run the same command again.") from None
        self._headless = False
        self._traces.add(item, chain)


def head(run: Run) -> dict[str, object]:
    """The first line of a file."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    made_by = {"minireason": __version__, "llama_cpp_python": version("llama-cpp-python")}
    return {"minireason_traces": VERSION, "created": now, **made_by, "run": asdict(run)}


def _begin(path: Path, value: dict[str, object] | None) -> Traces:
    format_version = (value or {}).get("minireason_traces")
    if not value or not isinstance(format_version, int):
        raise UsageError(f"{path} holds no traces of minireason eval; give another file.")
    if format_version > VERSION:
        raise UsageError(
            f"{path} was written by a newer minireason (format {format_version}, this one reads {VERSION}); upgrade to use it."
        )
    run = value.get("run")
    if not isinstance(run, dict) or run.keys() != _RUN_KINDS.keys() or not _sound(run):
        raise UsageError(
            f"The first line of {path} does not say which run it is; give another file."
        )
    return Traces(path, Run(**run))


def _sound(run: dict[str, object]) -> bool:
    """Whether the fields of a run are what they are to be, and can be printed as JSON."""
    try:
        json.dumps(run, allow_nan=False)
    except ValueError:
        return False
    return all(isinstance(run[name], kinds) for name, kinds in _RUN_KINDS.items())


def _take(traces: Traces, value: dict[str, object] | None) -> None:
    """Count one line in, or as damaged."""
    line, item, chain, seconds = (
        (value or {}).get(name) for name in ("line", "item", "chain", "run_s")
    )
    try:
        if (
            not isinstance(line, int)
            or not isinstance(seconds, int | float)
            or line < 1
            or not 0 <= seconds <= _MOST["total_s"]
        ):
            raise ValueError("numbers that cannot be")
        traces.add(Item.of(line, item), _chain(chain))
        traces.seconds = float(seconds)
    except ValueError:
        traces.damaged += 1


def _chain(value: object) -> Chain:
    """A chain out of its line."""
    if not isinstance(value, dict) or not all(
        isinstance(value.get(name), kinds) for name, kinds in _KINDS.items()
    ):
        raise ValueError("this is no chain")
    if not all(value[name] is None or 0 <= value[name] <= most for name, most in _MOST.items()):
        raise ValueError("numbers that cannot be")
    return Chain(**{name: value[name] for name in _KINDS})


def _difference(theirs: Run, ours: Run, name: str) -> str:
    one, other = getattr(theirs, name), getattr(ours, name)
    if isinstance(one, dict) and isinstance(other, dict):
        name = next(key for key in {**one, **other} if one.get(key) != other.get(key))
        one, other = one.get(name), other.get(name)
    return f"its {name} is {_short(one)}, this one's {_short(other)}"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:12]}..."
