"""Which models suit this machine: the best one, and another instead of one that does not fit."""

from __future__ import annotations

from collections.abc import Iterator

from minireason.errors import DoesNotFit, ModelFileError
from minireason.host.hardware import Hardware
from minireason.models import catalog, cost, fit, gguf, imported, store
from minireason.models import shape as shapes
from minireason.models.plan import FitPlan
from minireason.models.shape import Shape
from minireason.models.spec import ModelSpec, Quant
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
    """How a model would be loaded here, or why not; None where its shape is unknown.

    With the longest context that fits, or with `n_ctx`.
    """
    shape = spec.shape(quant.name)
    return judge_shape(f"{spec.name}:{quant.name}", shape, hardware, n_ctx) if shape else None


def judge_shape(
    label: str, shape: Shape, hardware: Hardware, n_ctx: int | None = None
) -> FitPlan | DoesNotFit:
    """The same for a model of known shape."""
    requested = LoadSettings(n_ctx=min(n_ctx, shape.context) if n_ctx else None)
    try:
        return fit.plan(label, shape, hardware, requested)
    except DoesNotFit as error:
        return error


def judge_by_size(label: str, weight_bytes: int, hardware: Hardware) -> DoesNotFit | None:
    """Why a model of unknown shape does not fit, if it is too big by its weights alone."""
    if weight_bytes <= hardware.free_bytes:
        return None
    advice = "use a smaller model or a smaller quant."
    return DoesNotFit(label, weight_bytes, hardware.free_bytes, advice)


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
    """The strongest R1 distill that fits with room to think and is not too slow.

    Of those with fewer bytes than `below_bytes`. More parameters beat more bits; of one model the
    default quant is taken where it fits, and quants that ruin reasoning never. Where even the
    smallest is slow, that one.
    """
    slow = None
    for spec, quant in _distills():
        if below_bytes is not None and quant.bytes >= below_bytes:
            continue
        plan = judge(spec, quant, hardware)
        if isinstance(plan, FitPlan) and is_roomy(plan):
            if (plan.tokens_per_s or USABLE_TOKENS_PER_S) >= USABLE_TOKENS_PER_S:
                return spec, quant
            slow = spec, quant
    return slow


def _distills() -> Iterator[tuple[ModelSpec, Quant]]:
    """The R1 distills with their quants, in the order in which they are taken."""
    specs = [spec for spec in catalog.load() if spec.name.startswith("r1-")]
    for spec in sorted(specs, key=lambda spec: -spec.params):
        yield spec, spec.quants[spec.default_quant]
        others = [quant for quant in spec.quants.values() if quant.name not in _POOR]
        for quant in sorted(others, key=lambda quant: -quant.bytes):
            yield spec, quant


def installed(hardware: Hardware) -> str | None:
    """The name of the installed model that is meant if none is named; None if none fits.

    Models that think come first, as those of the catalogue do, then those with more parameters.
    """
    models = [(True, spec.params, spec.name, file.path) for spec, file in store.installed()]
    for entry in imported.listed():
        if shape := entry.shape:
            params = cost.parameters(shape)
            models.append((entry.thinks, params, entry.label, entry.manifest.path))
    for _, _, name, path in sorted(models, key=lambda model: model[:2], reverse=True):
        try:
            shape = shapes.of(gguf.check(path))
        except ModelFileError:
            continue
        if isinstance(judge_shape(name, shape, hardware), FitPlan):
            return name
    return None


def instead(error: DoesNotFit, weight_bytes: int, hardware: Hardware) -> DoesNotFit:
    """The same error, with the smaller model to take here where there is one, and why that one."""
    smaller = best(hardware, below_bytes=weight_bytes)
    if smaller is None:
        return error
    spec, quant = smaller
    plan = judge(spec, quant, hardware)
    speed = plan.tokens_per_s if isinstance(plan, FitPlan) else None
    advice = f"{spec.name}:{quant.name} fits, {_merit(speed)}."
    return DoesNotFit(error.model, error.needed_bytes, error.available_bytes, advice)


def _merit(tokens_per_s: float | None) -> str:
    """Why `best` takes a model of this speed, and no other that fits."""
    if tokens_per_s is None:
        return "the strongest R1 distill that does"
    if tokens_per_s < USABLE_TOKENS_PER_S:
        return f"the fastest R1 distill, and gives about {tokens_per_s:.1f} tokens/s here"
    return f"the strongest R1 distill that gives at least {USABLE_TOKENS_PER_S:g} tokens/s here"
