"""When what is faster here is measured, and when it is kept.

While nobody waits for a reply, once for each build, machine and shape. Where others used the CPUs
meanwhile, or equal steps took unequal times, nothing is kept, and what was measured before stays.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from minireason.backends.comparison import MOST_S, Comparison, NotMeasured
from minireason.engine.model import Model
from minireason.errors import EngineError, ModelFileError
from minireason.host.load import OtherLoad
from minireason.models import tuned
from minireason.models.plan import FitPlan
from minireason.models.shape import Shape
from minireason.models.tuned import Entry, Place

_log = logging.getLogger(__name__)

LEAST_BYTES = 2**25
"""Of a model with fewer bytes of weights nothing is worth measuring."""

MOST_OTHERS = 0.15
"""So many CPUs others may keep busy meanwhile."""

_LOOK_S = 0.25
"""For so long others are watched first: on a busy machine nothing is begun."""

MOST_TRIES = 3
"""So often it is tried in one process, where it is disturbed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of measuring."""

    entry: Entry | None
    """What was kept; None where nothing was."""

    problem: str = ""
    """Why nothing was kept, as half a sentence."""


class Tuner:
    """Measures what is faster for a model as it was planned."""

    def __init__(
        self, name: str, place: Place, shape: Shape, plan: FitPlan, *, wanted: bool = True
    ) -> None:
        self._name, self._place, self._shape, self._plan = name, place, shape, plan
        self._tries = 0
        self._wanted = wanted and self.possible

    @property
    def possible(self) -> bool:
        """Whether there is something to measure: a model that is not tiny, on the CPU."""
        return self._plan.n_gpu_layers == 0 and self._shape.weight_bytes >= LEAST_BYTES

    @property
    def wanted(self) -> bool:
        """Whether nothing is known yet, and it has not been tried too often."""
        return self._wanted and self._tries < MOST_TRIES

    def run(
        self,
        model: Model,
        stopped: Callable[[], bool] = lambda: False,
        most_s: float = MOST_S,
    ) -> Outcome:
        """Measure and keep it, unless stopped, which is heard within a step or a short prompt."""
        started = time.perf_counter()
        try:
            with _alone():
                _wait(_LOOK_S, stopped)
            with _alone():
                result = Comparison(model, self._shape, self._plan, stopped, most_s).answer()
        except (NotMeasured, EngineError, ModelFileError) as error:
            _log.info("what is faster here was not measured: %s", error)
            self._tries += not stopped()
            return Outcome(None, str(error))
        shape = tuned.shape_key(self._shape)
        entry = Entry(self._place, shape, self._name, self._plan.kv_type, result)
        tuned.remember(entry)
        self._wanted = False
        _log.info("measured what is faster here in %.1f s", time.perf_counter() - started)
        return Outcome(entry)


@contextmanager
def _alone() -> Iterator[None]:
    """Raise NotMeasured at the end where others used the CPUs, as far as that can be seen."""
    others = OtherLoad()
    yield
    busy = others.cpus()
    if busy is not None and busy > MOST_OTHERS:
        raise NotMeasured(f"other programs kept {busy:.1f} CPUs busy")


def _wait(seconds: float, stopped: Callable[[], bool]) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until and not stopped():
        time.sleep(_LOOK_S / 10)
