"""Which models of the catalogue suit this machine: the best one, and what to take instead of one that does not fit."""

from __future__ import annotations

from minireason.errors import DoesNotFit
from minireason.models import catalog, fit
from minireason.models.catalog import ModelSpec, Quant
from minireason.models.fit import FitPlan
from minireason.models.hardware import Hardware
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
    if shape is None:
        return None
    try:
        return fit.plan(
            f"{spec.name}:{quant.name}",
            shape,
            hardware,
            LoadSettings(n_ctx=min(n_ctx, shape.context) if n_ctx else None),
        )
    except DoesNotFit as error:
        return error


def judge_by_size(label: str, weight_bytes: int, hardware: Hardware) -> DoesNotFit | None:
    """Whether a model of unknown shape is too big by its weights alone."""
    if weight_bytes <= hardware.free_bytes:
        return None
    return DoesNotFit(
        label, weight_bytes, hardware.free_bytes, "use a smaller model or a smaller quant."
    )


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
