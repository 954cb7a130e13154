"""The models that have a name here, and what each would be on a machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from minireason.errors import DoesNotFit, ModelFileError
from minireason.host.hardware import Hardware
from minireason.models import catalog, cost, gguf, imported, recommend, shape, store
from minireason.models.imported import Imported
from minireason.models.plan import FitPlan
from minireason.models.shape import Shape
from minireason.models.spec import ModelSpec, Quant
from minireason.models.store import Manifest

Verdict: TypeAlias = Literal["fits", "fits with less context", "too big", "unknown"]


@dataclass(frozen=True, slots=True)
class Listed:
    """A model that has a name here; `path` is its (first) file, also one that is gone.

    `bytes` of its files are 0 where nobody wrote them down, and computed where `approximate`;
    `shape` is None where neither the catalogue nor a file says it.
    """

    name: str
    params: int
    bytes: int
    approximate: bool
    scores: dict[str, float]
    licence: str
    shape: Shape | None
    path: Path | None
    installed: bool

    def judge(self, hardware: Hardware, n_ctx: int | None = None) -> FitPlan | DoesNotFit | None:
        """How it would be loaded, with the longest context or this one, or why not.

        None where its shape is unknown.
        """
        if self.shape is None:
            return None
        return recommend.judge_shape(self.name, self.shape, hardware, n_ctx)

    def verdict(self, longest: FitPlan | DoesNotFit | None) -> Verdict:
        """Whether it fits, by its plan with the longest context."""
        if longest is None or self.shape is None:
            return "unknown"
        trained = self.shape.context
        if isinstance(longest, DoesNotFit) or longest.n_ctx < min(
            recommend.ENOUGH_CONTEXT, trained
        ):
            return "too big"
        if longest.n_ctx < min(recommend.AMPLE_CONTEXT, trained):
            return "fits with less context"
        return "fits"


def listed(hardware: Hardware, *, every_quant: bool = False) -> list[Listed]:
    """The models of the catalogue, then those beside it.

    Of each in the catalogue the usual quant and those installed, or every one. Usual is the
    default, or of the model that is recommended for this machine the quant that is.
    """
    noted = store.manifests()
    best = recommend.best(hardware)
    models = []
    for spec in catalog.load():
        usual = spec.quants[spec.default_quant]
        if best and best[0].name == spec.name:
            usual = best[1]
        others = [quant for quant in spec.quants.values() if quant.name != usual.name]
        models += [
            model
            for quant in (usual, *others)
            if (model := of_quant(spec, quant, noted)).installed or quant is usual or every_quant
        ]
    return models + [of_import(entry) for entry in imported.listed()]


def of_quant(spec: ModelSpec, quant: Quant, noted: Sequence[Manifest] | None = None) -> Listed:
    """A quant of the catalogue or of the Hub; `noted` as in `store.installed_file`."""
    file = store.installed_file(spec, quant, noted)
    path = file.path if file else None
    size = path.stat().st_size if path else 0
    return Listed(
        name=store.label(spec, quant),
        params=spec.params,
        bytes=quant.bytes or size,
        approximate=quant.approximate,
        scores=dict(spec.scores),
        licence=spec.licence,
        shape=spec.shape(quant.name) or _shape_of(path),
        path=path,
        installed=path is not None,
    )


def of_import(entry: Imported) -> Listed:
    """A model beside the catalogue; not installed if its file is gone."""
    return Listed(
        name=entry.label,
        params=cost.parameters(entry.shape) if entry.shape else 0,
        bytes=entry.bytes,
        approximate=False,
        scores={},
        licence=entry.text("general.license"),
        shape=entry.shape,
        path=entry.manifest.path,
        installed=entry.manifest.path.is_file(),
    )


def _shape_of(path: Path | None) -> Shape | None:
    """The shape that a file's header says, None without a file or where it is damaged."""
    try:
        return shape.of(gguf.check(path)) if path else None
    except ModelFileError:
        return None
