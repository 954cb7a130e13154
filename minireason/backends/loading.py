"""Load a model: find its file, check it, plan for this machine, try it once, open it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from minireason.engine import devices, trial
from minireason.engine.drafting import LookupDrafter
from minireason.engine.model import Model
from minireason.engine.speculation_gain import SIZES, SpeculationGain
from minireason.errors import BadSetting, DoesNotFit, ModelFileError
from minireason.host import hardware, machine_file
from minireason.host.hardware import Gpu, Hardware
from minireason.models import (
    catalog,
    fit,
    gguf,
    known_good,
    recommend,
    shape,
    store,
    tuned,
)
from minireason.models.gguf_header import Header
from minireason.models.known_good import Identity
from minireason.models.plan import FitPlan, beside
from minireason.models.tuned import Place
from minireason.reasoning import tags
from minireason.settings import Changes, LoadSettings

if TYPE_CHECKING:
    from minireason.backends.local import LocalBackend
    from minireason.backends.tuning import Tuner

_log = logging.getLogger(__name__)


def open_model(
    model: str,
    requested: LoadSettings,
    *,
    defaults: Changes | None = None,
    on_progress: Callable[[float], None] | None = None,
    taken_bytes: int = 0,
    gpu_share: float = 1.0,
) -> LocalBackend:
    """Open a model by catalogue name, "name:QUANT" or path to a .gguf file.

    `defaults` are settings for every reply, which go before the model's own of the catalogue.
    `on_progress` gets the share loaded, 0 to 1. Of the memory that is free `taken_bytes` are for
    something else, and of each GPU's no more than `gpu_share` is for this. Raises BadSetting,
    UnknownModel, NotInstalled, ModelFileError, DoesNotFit or EngineError.
    """
    started = time.perf_counter()
    file = store.find(model)
    with ThreadPoolExecutor(2) as meanwhile:
        identity = None if file.trusted else meanwhile.submit(known_good.identity, file.path)
        settings = meanwhile.submit(catalog.defaults, file.label)
        header = gguf.check(file.path)
        template = _template(header)
        here = machine().left(taken_bytes, gpu_share)
        draft = _plan_draft(requested, here)
        plan = _plan(file, header, requested, beside(draft[1], here) if draft else here)
        backend = meanwhile.submit(_local_backend)
        _try_once(header, identity.result() if identity else None, repack=plan.repack)
        loaded = Model(
            file.path, n_gpu_layers=plan.n_gpu_layers, repack=plan.repack, on_progress=on_progress
        )
        try:
            known = settings.result().changed(defaults or {})
            opened = backend.result()(file.label, loaded, template, plan, known, started)
        except BaseException:
            loaded.close()
            raise
    opened.tuner = _tuner(file.label, header, plan, requested)
    _let_draft(opened, requested, draft)
    return opened


def _template(header: Header) -> str:
    """Its chat template; raises ModelFileError for one with tags of thought that are not read."""
    template = header.chat_template or ""
    if problem := tags.problem(template):
        raise ModelFileError(header.path, problem)
    return template


def needed_bytes(path: Path, requested: LoadSettings) -> int:
    """The memory that a file takes here with a roomy context, or the one requested.

    0 where it does not fit. Raises ModelFileError.
    """
    dimensions = shape.of(gguf.check(path))
    n_ctx = requested.n_ctx or min(fit.ROOMY_N_CTX, dimensions.context)
    with suppress(DoesNotFit, BadSetting):
        return fit.plan(
            path.name, dimensions, machine(), replace(requested, n_ctx=n_ctx)
        ).needed_bytes
    return 0


def _local_backend() -> type[LocalBackend]:
    """Import what runs a model, numpy above all, while another thread loads the weights."""
    from minireason.backends.local import LocalBackend as Imported

    return Imported


def _tuner(name: str, header: Header, plan: FitPlan, requested: LoadSettings) -> Tuner:
    """What measures what is faster here; of its own accord only where nothing was requested."""
    from minireason.backends.tuning import Tuner as Imported

    free = requested.n_threads is None and requested.repack is None and not requested.reproducible
    wanted = free and plan.step_costs is None
    return Imported(name, place(hardware.probe()), shape.of(header), plan, wanted=wanted)


def place(here: Hardware) -> Place:
    """What a measurement here holds for."""
    return Place(devices.build(), here.cpu, here.cores)


def _drafts(requested: LoadSettings) -> bool:
    return requested.speculation == "auto" and not requested.reproducible


def _plan_draft(requested: LoadSettings, here: Hardware) -> tuple[store.ModelFile, FitPlan] | None:
    """The draft model that was asked for, if one is, and how to load it."""
    if requested.draft_model is None or not _drafts(requested):
        return None
    file = store.find(requested.draft_model)
    model_shape = shape.of(gguf.check(file.path))
    longest = min(model_shape.context, requested.n_ctx or fit.ROOMY_N_CTX)
    settings = replace(requested, n_ctx=longest, n_seq_max=1, draft_model=None)
    return file, fit.plan(file.label, model_shape, here, settings)


def _let_draft(
    backend: LocalBackend,
    requested: LoadSettings,
    draft: tuple[store.ModelFile, FitPlan] | None,
) -> None:
    """Let what came before, or a draft model, draft; closes the backend if that fails."""
    try:
        if draft:
            _add_draft_model(backend, *draft)
        elif _drafts(requested):
            backend.new_drafter = LookupDrafter
        if costs := backend.plan.step_costs:
            measured = {size: costs.of(size) / costs.of(1) for size in SIZES}
            backend.scheduler.speculation.gain = SpeculationGain(measured)
    except BaseException:
        backend.close()
        raise


def _add_draft_model(backend: LocalBackend, file: store.ModelFile, plan: FitPlan) -> None:
    """Let another model draft; raises BadSetting if its vocabulary is not the same."""
    from minireason.backends.draft import DraftModel, same_vocabulary

    if not file.trusted:
        open_once(file.path, repack=plan.repack)
    loaded = Model(file.path, n_gpu_layers=plan.n_gpu_layers, repack=plan.repack)
    try:
        if not same_vocabulary(backend.model.vocabulary, loaded.vocabulary):
            problem = f"its vocabulary is not that of {backend.name}; take a model of one family"
            raise BadSetting("draft_model", file.label, problem)
        draft_model = DraftModel(loaded, plan)
    except BaseException:
        loaded.close()
        raise
    backend.draft_model = draft_model
    backend.new_drafter = lambda _prompt_tokens: draft_model.drafter
    _log.info("draft model %s, %.2f GiB", file.label, plan.needed_bytes / 2**30)


def _plan(
    file: store.ModelFile, header: Header, requested: LoadSettings, here: Hardware
) -> FitPlan:
    """How to load the file on what is left of this machine.

    Where it does not fit, the error says what would.
    """
    try:
        dimensions = shape.of(header)
        measured = tuned.known(place(here), dimensions)
        plan = fit.plan(file.label, dimensions, here, requested, measured)
    except DoesNotFit as error:
        if requested.n_ctx is not None:
            raise
        raise recommend.instead(error, header.tensor_bytes, machine(measured=True)) from None
    _log.info("model %s, file %s", file.label, file.path)
    _log.info(
        "plan: context %d tokens (the cache starts with %d and may hold %d), KV cache %s, "
        "%d threads, flash attention %s (%s), repack %s, %d layers on the GPU, %.2f GiB in all",
        plan.n_ctx,
        plan.start_n_ctx,
        plan.cache_tokens,
        plan.kv_type,
        plan.n_threads,
        "on" if plan.flash_attention else "off",
        "by rule" if plan.step_costs is None else "measured",
        "on" if plan.repack else "off",
        plan.n_gpu_layers,
        plan.needed_bytes / 2**30,
    )
    return plan


def open_once(path: Path, *, repack: bool | None = None) -> None:
    """Use a file that was never used before in a process of its own, where it can do no harm.

    `repack`: as it will be loaded; None: as it will be if nobody asks for something else. Raises
    ModelFileError, or EngineError if it could not be tried.
    """
    header = gguf.check(path)
    if repack is None:
        try:
            repack = fit.plan(path.name, shape.of(header), machine(), LoadSettings()).repack
        except DoesNotFit:
            repack = False
    _try_once(header, known_good.identity(path), repack=repack)


def _try_once(header: Header, identity: Identity | None, *, repack: bool) -> None:
    """See `open_once`; `identity` was taken before, should the file be replaced meanwhile.

    None for a file of our own, which is not tried.
    """
    if identity is None:
        _log.info("no trial run: the file came with minireason")
        return
    if known_good.knows(identity, repack=repack):
        _log.info("no trial run: the file was used before")
        return
    _log.info("trial run: the file is used in a process of its own first")
    trial.run(
        header.path,
        repack=repack,
        weight_bytes=header.tensor_bytes,
        template=header.chat_template or "",
    )
    known_good.remember(identity, repack=repack)


def machine(*, measured: bool = False) -> Hardware:
    """This machine and the GPUs that the installed llama.cpp can use.

    `measured`: with the bandwidth of its memory, which takes half a second the first time.
    """
    here = replace(hardware.probe(_gpus), built_for=devices.built_for())
    if not measured:
        return here
    bandwidth = hardware.bandwidth(machine_file.path())
    return replace(here, bandwidth_bytes_per_s=bandwidth)


def _gpus() -> list[Gpu]:
    """The GPUs; an integrated one and those of Apple's chips use the machine's own memory."""
    return [
        Gpu(
            device.name,
            device.description,
            device.free_bytes,
            device.total_bytes,
            device.kind == "igpu" or device.name.startswith("MTL"),
        )
        for device in devices.devices()
        if device.kind in ("gpu", "igpu")
    ]


def engine_info() -> str:
    """What llama.cpp says of its build and this CPU."""
    return devices.system_info().strip(" |")


def default_model() -> str | None:
    """The installed model to take if none is named, see `recommend.installed`; None without any."""
    return recommend.installed(machine())
