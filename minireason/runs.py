"""Runs that can go on: what makes one itself, and its file, which one process at a time may write.

`eval` and `batch` write down what has ended; the same command goes on with what is missing.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from minireason.errors import UsageError, shortened, shown
from minireason.host import paths
from minireason.host.lock import of_file
from minireason.models import store
from minireason.settings import MAX_SEED, ChainChanges, Settings


@dataclass(frozen=True, slots=True)
class Run:
    """What makes a run itself: everything that decides what a reply of it says.

    How many replies each question gets and how many run at a time is not among it: a run can go on
    with more.
    """

    model: str
    """The label of the model; of one on a server its name and the server's address."""

    model_sha256: str
    """The hash of its bytes; "" for one on a server, which does not tell."""

    seed: int | None
    """The seed that those of all replies are made from; None draws one."""

    system: str | None
    """The system prompt of questions that have none of their own."""

    settings: dict[str, object]
    """The settings of questions that have none of their own, see `settings_of`."""


R = TypeVar("R", bound=Run)


def settings_of(changes: ChainChanges, defaults: Settings) -> dict[str, object]:
    """Every setting that decides what a reply says but the seed, as JSON: for `Run.settings`.

    `defaults` are the model's.
    """
    settings = asdict(defaults.changed(changes))
    del settings["seed"]
    plain: dict[str, object] = json.loads(json.dumps(settings))
    return plain


def begun(run: R) -> R:
    """A run of which there is nothing yet: it draws a seed if it has none."""
    return replace(run, seed=random.randrange(MAX_SEED)) if run.seed is None else run


def resumed(path: Path, kept: R, run: R) -> R:
    """A run that goes on with the file of the `kept` one, and with its seed if it has none.

    Raises UsageError if that is another run.
    """
    if run.seed is None:
        run = replace(run, seed=kept.seed)
    theirs, ours = _told(kept), _told(run)
    for name in {**theirs, **ours}:
        if theirs.get(name) != ours.get(name):
            difference = _difference(name, theirs.get(name), ours.get(name))
            raise UsageError(
                f"{path} belongs to another run ({difference}); name another file with -o."
            )
    return run


def _told(run: Run) -> dict[str, Any]:
    """All that makes a run itself, by name; settings that an older version had not are as usual."""
    told = asdict(run)
    settings = settings_of({}, Settings()) | told.pop("settings")
    return {**told, **settings, **told}  # in this order, and no setting passes for a field


def _difference(name: str, theirs: object, ours: object) -> str:
    if name.endswith("_sha256"):
        return f"its {name.removesuffix('_sha256')} was another"
    said = name if name.isidentifier() else shown(name)  # the file may say anything
    return f"its {shortened(said)} is {_shown(theirs)}, this one's {_shown(ours)}"


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return shortened(text if text.isprintable() else json.dumps(value), 40)


@contextmanager
def alone(path: Path, command: str) -> Iterator[None]:
    """Hold a run's file against other processes; `command` is what runs.

    Raises UsageError if another one has it, or StoreError.
    """
    try:
        lock = of_file(path)
        acquired = lock.acquire()
    except OSError as error:
        raise store.cannot_write(paths.data_dir() / "locks", error) from None
    if not acquired:
        raise UsageError(
            f"Another minireason {command} is writing to {path}; wait for it, or name another "
            "file with -o."
        )
    try:
        yield
    finally:
        lock.release()
