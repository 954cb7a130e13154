"""The models of a server: loaded when they are wanted, unloaded when there is no room for them."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import anyio
import anyio.to_thread

from minireason.aio import AsyncReasoner
from minireason.errors import DoesNotFit, NotInstalled, UnknownModel, UsageError, shown
from minireason.models import store
from minireason.reasoner import Reasoner
from minireason.server.base import ModelEntry
from minireason.server.opening import open_beside
from minireason.server.settings import ServerSettings
from minireason.server.shelf import Shelf
from minireason.settings import LoadSettings
from minireason.wire.errors import ApiError, stopping

DEFAULT = "default"
"""The name that always means the default, as no name does."""

_TAG = ":latest"  # what clients of Ollama add
_LONGEST_NAME = 200
_ASK_FOR = "GET /v1/models lists all, and default means the first."
_RETRY_AFTER_S = 60

Label: TypeAlias = str
"""What a model is called once its file is known."""


@dataclass(slots=True)
class _Loaded:
    """A model in memory, and who uses it."""

    reasoner: AsyncReasoner
    keep_s: float | None
    users: int = 0
    used: float = field(default_factory=time.monotonic)

    @property
    def expires_s(self) -> float:
        """Seconds until it has been idle for long enough; infinite while it is in use."""
        if self.users or self.keep_s is None:
            return math.inf
        return self.used + self.keep_s - time.monotonic()


async def _nothing(_label: Label) -> None:
    """What is done before a model is unloaded, if nobody says anything else."""


class ModelPool:
    """See `base.Models`. One model at a time is loaded, in a worker thread; the others go on.

    `settings.models` are names or paths; those in requests are names only, never paths. `opened`
    are models that are loaded already. `open_model` loads one by name or path.
    """

    def __init__(
        self,
        settings: ServerSettings,
        opened: Sequence[Reasoner] = (),
        open_model: Callable[[str], Reasoner] | None = None,
    ) -> None:
        self._settings = settings
        self._open = open_model or self._load_file
        self._shelf = Shelf()
        files = {target: store.find(target) for target in settings.models}
        self._own = {file.label: (target, file.path) for target, file in files.items()}
        if len(self._own) < len(files):
            names = ", ".join(settings.models)
            raise UsageError(f"Two of the models {names} have one name; leave one of them out.")
        self._aliases = {
            target.lower(): file.label
            for target, file in files.items()
            if not store.is_path(target)
        }
        self._loaded = {one.name: self._counted(one) for one in opened}
        self._default: Label = next(iter([*self._own, *self._loaded]))
        self._turn = anyio.Lock()
        self._waiting = 0
        self._woken = anyio.Event()
        self._stopping = False
        self.before_unload: Callable[[str], Awaitable[None]] = _nothing

    def _counted(self, reasoner: Reasoner) -> _Loaded:
        return _Loaded(AsyncReasoner(reasoner), self._settings.keep_alive_s)

    @asynccontextmanager
    async def use(self, name: str | None) -> AsyncIterator[AsyncReasoner]:
        """See `base.Models.use`."""
        label = await self._label_of(name)
        model = await self._acquire(label)
        try:
            yield model.reasoner
        finally:
            model.users -= 1
            model.used = time.monotonic()
            self._woken.set()

    async def _label_of(self, name: str | None) -> Label:
        """Which model a name means; raises ApiError 404."""
        asked = (name or DEFAULT).strip()
        if asked.lower().endswith(_TAG):
            asked = asked[: -len(_TAG)]
        if known := self._known(asked):
            return known
        if len(asked) > _LONGEST_NAME or store.is_path(asked):
            problem = f"There is no model named {shown(asked)} here; {_ASK_FOR}"
            raise ApiError(404, problem, "model_not_found", "model")
        return await anyio.to_thread.run_sync(_installed, asked)

    def _known(self, asked: str) -> Label | None:
        """The model that a name means without a look at the disk."""
        lower = asked.lower()
        if lower in ("", DEFAULT):
            return self._default
        labels = {label.lower(): label for label in (*self._loaded, *self._own)}
        return labels.get(lower) or self._aliases.get(lower)

    async def _acquire(self, label: Label) -> _Loaded:
        """A model that is loaded, and in use from here on."""
        while label not in self._loaded:
            if self._waiting >= self._settings.max_waiting:
                raise ApiError(
                    503,
                    f"Too many requests wait for {label} to be loaded; try again in a moment.",
                    "server_busy",
                    retry_after_s=_RETRY_AFTER_S,
                )
            self._waiting += 1
            try:
                async with self._turn:
                    if label not in self._loaded:
                        await self._load(label)
            finally:
                self._waiting -= 1
        model = self._loaded[label]
        model.users += 1
        return model

    async def _load(self, label: Label) -> None:
        """Load a model, to its end even if nobody waits for it any longer."""
        target = self._own[label][0] if label in self._own else label
        with anyio.CancelScope(shield=True):
            while True:
                try:
                    opened = await anyio.to_thread.run_sync(self._open, target)
                    break
                except DoesNotFit as error:
                    await self._unload_idle(label, error)
            self._loaded[label] = self._counted(opened)

    async def _unload_idle(self, label: Label, error: DoesNotFit) -> None:
        """Unload the model that was idle for longest; raises where all are in use."""
        idle = [name for name, model in self._loaded.items() if not model.users]
        if idle:
            await self._unload(min(idle, key=lambda name: self._loaded[name].used))
            return
        if not self._loaded:
            raise error
        raise ApiError(
            503,
            f"{label} does not fit beside the models in use; try again later. {error}",
            "model_does_not_fit",
            "model",
            retry_after_s=_RETRY_AFTER_S,
        ) from None

    async def _unload(self, label: Label) -> None:
        """Free a model's memory; its turn has to be this task's."""
        model = self._loaded.pop(label)
        with anyio.CancelScope(shield=True):
            await self.before_unload(label)
            await model.reasoner.aclose()

    def load_first(self, on_progress: Callable[[float], None]) -> str:
        """Load the default model in this thread, before the server runs; its name."""
        target, _ = self._own[self._default]
        self._loaded[self._default] = self._counted(self._load_file(target, on_progress))
        return self._default

    def _load_file(
        self, target: str, on_progress: Callable[[float], None] | None = None
    ) -> Reasoner:
        others = [
            path
            for label, (other, path) in self._own.items()
            if other != target and label not in self._loaded
        ]
        return open_beside(
            target,
            LoadSettings.of(self._settings.load),
            loaded=[model.reasoner.backend for model in self._loaded.values()],
            expected=others,
            on_progress=on_progress or self._look,
        )

    def _look(self, _share: float) -> None:
        """End the load that runs once nobody waits for it any more."""
        if self._stopping:
            raise stopping()

    def stop(self) -> None:
        """See `base.Models.stop`."""
        self._stopping = True

    def entries(self) -> list[ModelEntry]:
        """See `base.Models.entries`."""
        own = [self._shelf.entry(label, path) for label, (_, path) in self._own.items()]
        known = {entry.name: entry for entry in (*own, *self._shelf.entries())}
        for label, model in self._loaded.items():
            reasoner = model.reasoner
            nothing = ModelEntry(label, False, 0, False, 0, 0)
            known[label] = replace(
                known.get(label, nothing),
                thinks=reasoner.thinks,
                n_ctx=reasoner.n_ctx,
                loaded=True,
            )
        return sorted(known.values(), key=lambda entry: entry.name != self._default)

    def loaded(self) -> list[Label]:
        """The names of the models in memory."""
        return list(self._loaded)

    def keep(self, name: str | None, seconds: float | None) -> None:
        """See `base.Models.keep`."""
        label = self._known((name or DEFAULT).strip().removesuffix(_TAG))
        if model := self._loaded.get(label or ""):
            model.keep_s = seconds
            self._woken.set()

    async def unload(self, name: str) -> None:
        """See `base.Models.unload`; it does not wait for that."""
        self.keep(name, 0)

    async def run(self) -> None:
        """See `base.Models.run`."""
        while True:
            soonest = min((model.expires_s for model in self._loaded.values()), default=math.inf)
            with anyio.move_on_after(max(0, soonest)):
                await self._woken.wait()
            self._woken = anyio.Event()
            async with self._turn:
                for label in [name for name, one in self._loaded.items() if one.expires_s <= 0]:
                    await self._unload(label)

    async def aclose(self) -> None:
        """See `base.Models.aclose`."""
        async with self._turn:
            for label in list(self._loaded):
                await self._unload(label)


def _installed(name: str) -> Label:
    """The label of an installed model; raises ApiError 404, which tells no path of this machine."""
    try:
        return store.find(name).label
    except UnknownModel as error:
        near = f"did you mean {' or '.join(error.nearest)}? " if error.nearest else ""
        problem = f"There is no model named {shown(name)} here; {near}{_ASK_FOR}"
    except NotInstalled:
        problem = f"{name} is not installed here; fetch it with: minireason pull {name}"
    raise ApiError(404, problem, "model_not_found", "model")
