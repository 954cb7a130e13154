"""Models by name: which there are, what they would be here, and getting one onto this machine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from minireason.backends.loading import machine, open_once
from minireason.checks import checked, function, yes_or_no
from minireason.errors import DoesNotFit, ModelFileError, UsageError, shown
from minireason.host.hardware import Hardware
from minireason.models import (
    catalog,
    download,
    fit,
    gguf,
    named,
    other_tools,
    recommend,
    shape,
    store,
)
from minireason.models.fit import FitPlan
from minireason.models.pull import Watch
from minireason.models.pull import pull as install
from minireason.models.shape import Shape
from minireason.models.spec import ModelSpec, Quant
from minireason.settings import LoadSettings

Verdict: TypeAlias = Literal["fits", "fits with less context", "too big", "unknown"]

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
    here, specs = machine(measured=True), catalog.load()
    infos = [
        _info(spec, quant, here)
        for spec in specs
        for quant in spec.quants.values()
        if every_quant or quant.name == spec.default_quant or _installed(spec, quant)
    ]
    known = {info.name for info in infos}
    others = [manifest for manifest in store.manifests() if manifest.label not in known]
    return infos + [_imported(manifest, here) for manifest in others if manifest.path.is_file()]


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
    spec, wanted = named.find(name)
    quant = wanted or spec.quants[spec.default_quant]
    here = machine(measured=True)
    if not _installed(spec, quant):
        if fitting:
            _refuse_too_big(spec, quant, here)
        manifest = install(spec, quant, open_once, _watch(tell))
        if manifest and not manifest.vouched:
            _log.warning("nobody published a sha256 for %s: it is what the server sent", name)
    return _info(spec, quant, here)


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
    if not quant.bytes and not other_tools.find(quant):
        remote = (download.describe(quant.repo, file, quant.revision) for file in quant.files)
        quant = replace(quant, bytes=sum(file.bytes for file in remote))
    judged = recommend.judge(spec, quant, here)
    label = store.label(spec, quant)
    judged = judged or recommend.judge_by_size(label, quant.bytes, here)
    if isinstance(judged, DoesNotFit):
        raise recommend.instead(judged, quant.bytes, here)


def _installed(spec: ModelSpec, quant: Quant) -> Path | None:
    file = store.installed_file(spec, quant)
    return file.path if file else None


def _info(spec: ModelSpec, quant: Quant, here: Hardware) -> ModelInfo:
    path = _installed(spec, quant)
    info = ModelInfo(
        name=store.label(spec, quant),
        params=spec.params,
        bytes=quant.bytes or (path.stat().st_size if path else 0),
        verdict="unknown",
        n_ctx=None,
        needed_bytes=None,
        tokens_per_s=None,
        scores=dict(spec.scores),
        licence=spec.licence,
        path=path,
    )
    return _judged(info, spec.shape(quant.name) or _shape_of(path), here)


def _imported(manifest: store.Manifest, here: Hardware) -> ModelInfo:
    size = sum(file.bytes for file in manifest.files)
    label, path = manifest.label, manifest.path
    info = ModelInfo(label, 0, size, "unknown", None, None, None, {}, "", path)
    return _judged(info, _shape_of(path), here)


def _shape_of(path: Path | None) -> Shape | None:
    """The shape that a file's header says, None without a file or where it is damaged."""
    try:
        return shape.of(gguf.check(path)) if path else None
    except ModelFileError:
        return None


def _judged(info: ModelInfo, found: Shape | None, here: Hardware) -> ModelInfo:
    """The same, with how it would be loaded here."""
    if found is None:
        return info
    try:
        plan = fit.plan(info.name, found, here, LoadSettings())
    except DoesNotFit as error:
        return replace(info, verdict="too big", needed_bytes=error.needed_bytes)
    return replace(
        info,
        verdict=_verdict(plan, found.context),
        n_ctx=plan.n_ctx,
        needed_bytes=plan.needed_bytes,
        tokens_per_s=plan.tokens_per_s,
    )


def _verdict(plan: FitPlan, trained: int) -> Verdict:
    if plan.n_ctx < min(recommend.ENOUGH_CONTEXT, trained):
        return "too big"
    return (
        "fits" if plan.n_ctx >= min(recommend.AMPLE_CONTEXT, trained) else "fits with less context"
    )
