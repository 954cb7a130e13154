"""Models by name: which there are, what they would be here, and getting one onto this machine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from minireason.backends.loading import machine, open_once
from minireason.checks import checked, function, yes_or_no
from minireason.errors import DoesNotFit, UsageError, shown
from minireason.host.hardware import Hardware
from minireason.models import listing, named, recommend, store
from minireason.models.listing import Listed, Verdict
from minireason.models.plan import FitPlan
from minireason.models.pull import Watch, sized
from minireason.models.pull import pull as install
from minireason.models.spec import ModelSpec, Quant

_log = logging.getLogger("minireason")


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model and what it would be on this machine; `name` is what `load` and `pull` take.

    `bytes` of its files are 0 where nobody wrote them down. `n_ctx` tokens of context fit here, in
    `needed_bytes` of memory when they are full, and `tokens_per_s` is an estimate; they are None
    where that is not known. `scores` are those that its makers published. `path` is its (first)
    file where it is installed, None where it is not.
    """

    name: str
    params: int
    bytes: int
    verdict: Verdict
    n_ctx: int | None
    needed_bytes: int | None
    tokens_per_s: float | None
    scores: dict[str, float]
    licence: str
    path: Path | None

    @property
    def installed(self) -> bool:
        """Whether it can be loaded without fetching anything."""
        return self.path is not None


@dataclass(frozen=True, slots=True)
class PullProgress:
    """How far a pull is: what it does now, and the bytes of that step; 0 of 0 where it begins."""

    step: str
    done_bytes: int
    total_bytes: int


def list_models(*, every_quant: bool = False) -> list[ModelInfo]:
    """The models of the catalogue, by their usual and installed quants, and those imported.

    `every_quant`: with all quants of each. The first call measures the memory's bandwidth, which
    takes half a second.
    """
    checked("every_quant", every_quant, yes_or_no)
    here = machine(measured=True)
    models = listing.listed(here, every_quant=every_quant)
    return [_info(model, here) for model in models if model.installed or model.path is None]


def pull(
    name: str,
    *,
    on_progress: Callable[[PullProgress], None] | None = None,
    check_fit: bool = True,
) -> ModelInfo:
    """Fetch a model ("name", "name:QUANT" or hf:owner/repo/file.gguf), or find that it is there.

    A pull that was cut off goes on where it stopped. `on_progress` is called as the bytes come.
    Nothing is fetched of a model that does not fit this machine, unless `check_fit` is False.
    Raises UnknownModel, DoesNotFit, ModelFileError, StoreError and its kinds, or BadSetting.
    """
    if not isinstance(name, str):
        raise UsageError(f"A model to pull is named by text, and not by {shown(name)}.")
    tell = checked("on_progress", on_progress or (lambda _progress: None), function)
    fitting = checked("check_fit", check_fit, yes_or_no)
    spec, named_quant = named.find(name)
    quant = named_quant or spec.quants[spec.default_quant]
    here = machine(measured=True)
    if not store.installed_file(spec, quant):
        if fitting:
            _refuse_too_big(spec, quant, here)
        manifest = install(spec, quant, open_once, _watch(tell))
        if manifest and not manifest.vouched:
            _log.warning("nobody published a sha256 for %s: it is what the server sent", name)
    return _info(listing.of_quant(spec, quant), here)


def _watch(tell: Callable[[PullProgress], None]) -> Watch:
    """Puts the steps of a pull and the bytes of each together."""
    step = ""

    def begin(what: str) -> None:
        nonlocal step
        step = what
        tell(PullProgress(what, 0, 0))

    return Watch(bytes=lambda done, of: tell(PullProgress(step, done, of)), step=begin)


def _refuse_too_big(spec: ModelSpec, quant: Quant, here: Hardware) -> None:
    """Raise DoesNotFit, with what would fit, before a byte is fetched."""
    judged = recommend.judge_unseen(spec, sized(quant), here)
    if isinstance(judged, DoesNotFit):
        raise judged


def _info(model: Listed, here: Hardware) -> ModelInfo:
    """What a caller sees of a model, with how it would be loaded here."""
    judged = model.judge(here)
    plan = judged if isinstance(judged, FitPlan) else None
    return ModelInfo(
        name=model.name,
        params=model.params,
        bytes=model.bytes,
        verdict=model.verdict(judged),
        n_ctx=plan.n_ctx if plan else None,
        needed_bytes=judged.needed_bytes if judged else None,
        tokens_per_s=plan.tokens_per_s if plan else None,
        scores=model.scores,
        licence=model.licence,
        path=model.path,
    )
