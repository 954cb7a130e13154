"""Which models of the catalogue suit this machine: the best one, and what to take instead of one that does not fit."""

from __future__ import annotations

from minireason.errors import DoesNotFit, ModelFileError
from minireason.host.hardware import Hardware
from minireason.models import catalog, fit, gguf, imported, store
from minireason.models import shape as shapes
from minireason.models.catalog import ModelSpec, Quant
from minireason.models.fit import FitPlan
from minireason.models.shape import Shape
from minireason.settings import LoadSettings

ENOUGH_CONTEXT = 4096
"""Tokens without which a thought of an R1 distill has no room to come to an end."""

AMPLE_CONTEXT = 32_768
"""Tokens that the published scores were allowed; more is not missed."""

USABLE_TOKENS_PER_S = 4.0
"""Slower, and a thought of a thousand tokens takes more than four minutes."""

_POOR = ("Q2_K", "Q3_K_M")


def judge(
    spec: ModelSpec, quant: Quant, hardware: Hardware, n_ctx: int | None = None
) -> FitPlan | DoesNotFit | None:
    """How a model would be loaded here, with the longest context or the one given, or why not; None where its shape is unknown."""
    shape = spec.shape(quant.name)
    return judge_shape(f"{spec.name}:{quant.name}", shape, hardware, n_ctx) if shape else None


def judge_shape(
    label: str, shape: Shape, hardware: Hardware, n_ctx: int | None = None
) -> FitPlan | DoesNotFit:
    """The same for a model of known shape."""
    wanted = LoadSettings(n_ctx=min(n_ctx, shape.context) if n_ctx else None)
    try:
        return fit.plan(label, shape, hardware, wanted)
    except DoesNotFit as error:
        return error


def judge_by_size(label: str, weight_bytes: int, hardware: Hardware) -> DoesNotFit | None:
    """Whether a model of unknown shape is too big by its weights alone."""
    if weight_bytes <= hardware.free_bytes:
        return None
    return DoesNotFit(
        label, weight_bytes, hardware.free_bytes, "use a smaller model or a smaller quant."
    )


def judge_unseen(spec: ModelSpec, quant: Quant, hardware: Hardware) -> FitPlan | DoesNotFit | None:
    """How a model would be loaded that is not here yet; None where nobody can say.

    Why not names what would fit instead. Of a model of unknown shape only the size counts.
    """
    judged = judge(spec, quant, hardware)
    judged = judged or judge_by_size(store.label(spec, quant), quant.bytes, hardware)
    if isinstance(judged, DoesNotFit):
        return instead(judged, quant.bytes, hardware)
    return judged


def is_roomy(plan: FitPlan | DoesNotFit | None) -> bool:
    """Whether it fits with a context to think in."""
    return isinstance(plan, FitPlan) and plan.n_ctx >= ENOUGH_CONTEXT


def best(hardware: Hardware, below_bytes: int | None = None) -> tuple[ModelSpec, Quant] | None:
    """The strongest R1 distill that fits with room to think and is not too slow, of fewer bytes than a limit.

    More parameters beat more bits; of one model the default quant is taken where it fits, and quants that ruin reasoning
    never. Where even the smallest is slow, that one.
    """
    slow = None
    for spec in sorted(
        (spec for spec in catalog.load() if spec.name.startswith("r1-")),
        key=lambda spec: -spec.params,
    ):
        default = spec.quants[spec.default_quant]
        others = sorted(
            (quant for quant in spec.quants.values() if quant.name not in _POOR),
            key=lambda quant: -quant.bytes,
        )
        for quant in (default, *others):
            plan = (
                judge(spec, quant, hardware)
                if below_bytes is None or quant.bytes < below_bytes
                else None
            )
            if isinstance(plan, FitPlan) and is_roomy(plan):
                if (plan.tokens_per_s or USABLE_TOKENS_PER_S) >= USABLE_TOKENS_PER_S:
                    return spec, quant
                slow = spec, quant
    return slow


def installed(hardware: Hardware) -> str | None:
    """The name of the installed model to take if none is named; None if there is none that fits.

    Models that think come first, as those of the catalogue do, then those with more parameters.
    """
    found = [(True, spec.params, spec.name, file.path) for spec, file in store.installed()]
    for entry in imported.listed():
        if shape := entry.shape:
            params = imported.parameters(shape)
            found.append((entry.thinks, params, entry.label, entry.manifest.path))
    for _, _, name, path in sorted(found, key=lambda model: model[:2], reverse=True):
        try:
            shape = shapes.of(gguf.check(path))
        except ModelFileError:
            continue
        if isinstance(judge_shape(name, shape, hardware), FitPlan):
            return name
    return None


def instead(error: DoesNotFit, weight_bytes: int, hardware: Hardware) -> DoesNotFit:
    """The same error, with the name of the strongest smaller model that fits where there is one."""
    found = best(hardware, below_bytes=weight_bytes)
    if found is None:
        return error
    return DoesNotFit(
        error.model,
        error.needed_bytes,
        error.available_bytes,
        f"{found[0].name}:{found[1].name} fits.",
    )
