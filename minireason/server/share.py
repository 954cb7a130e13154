"""Half of a backend: what a vote may use of it, so that other requests get in."""

from __future__ import annotations

import weakref
from typing import Any, cast

from minireason.backends.base import Backend
from minireason.backends.capabilities import KnowsStepCosts
from minireason.models.tuned import StepCosts


class Share:
    """A backend that runs half as many replies side by side; all else is the whole one's."""

    def __init__(self, backend: Backend) -> None:
        self._backend = weakref.ref(backend)

    @property
    def _whole(self) -> Backend:
        backend = self._backend()
        if backend is None:
            raise ReferenceError("The backend of this share is gone.")
        return backend

    @property
    def max_parallel(self) -> int:
        """See `Backend.max_parallel`."""
        return max(1, self._whole.max_parallel // 2)

    @property
    def step_costs(self) -> StepCosts | None:
        """See `KnowsStepCosts`."""
        whole = self._whole
        return whole.step_costs if isinstance(whole, KnowsStepCosts) else None

    def room_for(self, reply_tokens: int) -> int:
        """See `Backend.room_for`."""
        return min(self.max_parallel, self._whole.room_for(reply_tokens))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)


_shares: weakref.WeakKeyDictionary[Backend, Backend] = weakref.WeakKeyDictionary()


def share_of(backend: Backend) -> Backend:
    """The half of a backend, always the same one: what was measured of it is kept by its id."""
    if backend not in _shares:
        _shares[backend] = cast("Backend", Share(backend))
    return _shares[backend]
