"""The lines of a file of traces, checked as they are read: a file may say anything.

    {"minireason_traces": 1, "run": {"model": "tiny", "seed": 7, ...}, ...}
    {"line": 1, "item": {"question": "2 + 2?", ...}, "chain": {"index": 0, ...}, "run_s": 1.5}

The first says which run it is, each other one holds a chain. `run_s` is how long the run has taken
up to there, over all its parts, in seconds.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from minireason import runs
from minireason.errors import UsageError
from minireason.evaluation.items import Item
from minireason.settings import MAX_SEED
from minireason.version import __version__
from minireason.voting.solution import Chain

VERSION = 1

_CHAIN_KINDS: dict[str, tuple[type, ...]] = {
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
"""What a chain's numbers, none of which is negative, do not exceed: they are added up."""


@dataclass(frozen=True, slots=True)
class Run(runs.Run):
    """What makes a run itself: everything that decides what a chain says."""

    set: str
    """The name of the set."""

    set_sha256: str
    """The hash of its bytes."""

    instruction: str
    """What is added to each question."""


def head(run: Run) -> dict[str, object]:
    """The first line of a file."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    made_by = {"minireason": __version__, "llama_cpp_python": version("llama-cpp-python")}
    return {"minireason_traces": VERSION, "created": now, **made_by, "run": asdict(run)}


def line(item: Item, chain: Chain, run_s: float) -> dict[str, object]:
    """The line of a chain."""
    return {"line": item.number, "item": item.json(), "chain": asdict(chain), "run_s": run_s}


def read_head(path: Path, value: dict[str, object] | None) -> Run:
    """The run that the first line of a file says.

    Raises UsageError if it is none, or of a newer minireason.
    """
    format_version = (value or {}).get("minireason_traces")
    if not value or not isinstance(format_version, int):
        raise UsageError(f"{path} holds no traces of minireason eval; give another file.")
    if format_version > VERSION:
        raise UsageError(
            f"{path} was written by a newer minireason (format {format_version}, this one reads "
            f"{VERSION}); upgrade to use it."
        )
    run = value.get("run")
    if not isinstance(run, dict) or run.keys() != _RUN_KINDS.keys() or not _is_sound(run):
        raise UsageError(
            f"The first line of {path} does not say which run it is; give another file."
        )
    return Run(**run)


def read_line(value: dict[str, object] | None) -> tuple[Item, Chain, float]:
    """The item, the chain and the seconds of a line; raises ValueError if it is damaged."""
    value = value or {}
    number, run_s = value.get("line"), value.get("run_s")
    if not isinstance(number, int) or not isinstance(run_s, int | float):
        raise ValueError("this is no line of a chain")
    if number < 1 or not 0 <= run_s <= _MOST["total_s"]:
        raise ValueError("numbers that cannot be")
    return Item.of(number, value.get("item")), _chain(value.get("chain")), float(run_s)


def _is_sound(run: dict[str, object]) -> bool:
    """Whether the fields of a run are what they are to be, and can be printed as JSON."""
    try:
        json.dumps(run, allow_nan=False)
    except ValueError:
        return False
    return all(isinstance(run[name], kinds) for name, kinds in _RUN_KINDS.items())


def _chain(value: object) -> Chain:
    if not isinstance(value, dict) or not value.keys() >= _CHAIN_KINDS.keys():
        raise ValueError("this is no chain")
    if not all(isinstance(value[name], kinds) for name, kinds in _CHAIN_KINDS.items()):
        raise ValueError("this is no chain")
    if not all(value[name] is None or 0 <= value[name] <= most for name, most in _MOST.items()):
        raise ValueError("numbers that cannot be")
    answer_tokens = value.get("answer_tokens", 0)  # older traces do not tell it
    if not isinstance(answer_tokens, int) or not 0 <= answer_tokens <= _MOST["tokens"]:
        raise ValueError("this is no chain")
    return Chain(**{name: value[name] for name in _CHAIN_KINDS}, answer_tokens=answer_tokens)
