"""minireason bench: how fast a model is on this machine."""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minireason import picture
from minireason.cli import idle, outcome
from minireason.cli.grouped import expand
from minireason.cli.load_options import Loading
from minireason.cli.terminal import notes, output
from minireason.cli.terminal.progress import Progress
from minireason.errors import BadSetting
from minireason.host import hardware, system
from minireason.models import gguf, known_good, shape, store
from minireason.settings import LoadSettings
from minireason.version import __version__

if TYPE_CHECKING:
    from minireason.backends.local import LocalBackend
    from minireason.benchmark.report import Machine, Report
    from minireason.models.plan import FitPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Measuring:
    """The options of a benchmark; None where the user said nothing. Raises BadSetting."""

    seconds: Annotated[
        float | None,
        typer.Option(
            help="Begin nothing that would end later than this. Default: 300.",
            show_default=False,
        ),
    ] = None
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Draw decoding against context, and chains side by side (.png, .svg, .pdf).",
            show_default=False,
        ),
    ] = None

    def __post_init__(self) -> None:
        if self.seconds is not None and not 1 <= _number(self.seconds) <= 86_400:
            raise BadSetting("seconds", self.seconds, "has to be a number from 1 to 86,400")


def _number(value: object) -> float:
    """The value as a number; 0 if it is none, such as a word that the user typed."""
    return value if isinstance(value, int | float) else 0.0


@expand
def bench(
    *,
    asked: Loading,
    measuring: Measuring,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object with all that was measured.")
    ] = False,
) -> int:
    """Measure how fast a model is on this machine.

    Reading prompts, generating at several lengths of context, chains side by side, memory: about a
    minute for a small model, some minutes for a large one. Ctrl-C ends it and shows what there is.
    """
    from minireason.cli.terminal import bench_report

    if measuring.plot:
        picture.check(measuring.plot)
    report, whole = run(asked, measuring, quiet=as_json)
    if not whole:
        bench_report.show(report, errors=True)
        notes.error_line("Stopped before all was measured.")
        return outcome.INTERRUPTED
    if as_json:
        print(output.json_line(asdict(report)))
    else:
        bench_report.show(report)
    if measuring.plot:
        from minireason.benchmark import plot

        plot.draw(report, measuring.plot)
    return 0


def run(asked: Loading, measuring: Measuring, *, quiet: bool) -> tuple[Report, bool]:
    """Load the model and measure; the report, and whether all of it was measured."""
    from minireason.benchmark.report import beside_bandwidth
    from minireason.benchmark.run import ALLOWED_S, Run
    from minireason.cli.terminal.bench_report import Meter

    whole, bandwidth = True, None
    with ExitStack() as stack:
        name = asked.model_name()
        path = store.find(name).path
        backend, empty = _loaded(asked, name, stack)
        meter = stack.enter_context(Meter(quiet=quiet))
        measured = Run(
            backend,
            shape.of(gguf.check(path)),
            empty,
            measuring.seconds or ALLOWED_S,
            meter.show,
        )
        try:
            measured.run()
        except KeyboardInterrupt:
            whole = False
    # Now, with whatever else runs, and after the model, whose memory this would add to.
    with suppress(KeyboardInterrupt):
        bandwidth = hardware.measure_bandwidth()
    report = beside_bandwidth(measured.report, bandwidth)
    return report, whole and bandwidth is not None


def _loaded(asked: Loading, name: str, stack: ExitStack) -> tuple[LocalBackend, Report]:
    """The model, open until the stack ends, and a report with nothing measured but loading."""
    from minireason.reasoner import Reasoner

    progress = Progress()
    stack.callback(progress.clear)
    backend, report = _opened(asked, name, progress)
    stack.callback(backend.close)
    if _tuned(backend, progress):
        backend.close()
        backend, report = _opened(asked, name, progress)  # as it is from now on
        stack.callback(backend.close)
    progress.clear()
    for line in idle.of_loading(asked, Reasoner(backend), name):
        notes.error_line(line)
    return backend, report


def _opened(asked: Loading, name: str, progress: Progress) -> tuple[LocalBackend, Report]:
    """The model, and a report with nothing measured but how long that took."""
    from minireason.backends.loading import open_model
    from minireason.benchmark.report import Report

    file = store.find(name)
    known = {repack: known_good.was_opened(file.path, repack=repack) for repack in (False, True)}
    progress.loading(name)
    started = time.perf_counter()
    requested = LoadSettings.of(asked.load)
    backend = open_model(name, requested, on_progress=progress.loaded_share)
    load_s = time.perf_counter() - started
    tried = not (file.trusted or known[backend.plan.repack])
    return backend, Report(backend.name, _machine(backend.plan), load_s, tried)


def _tuned(backend: LocalBackend, progress: Progress) -> bool:
    """Measure what is faster here where nothing is known of it; whether something is now."""
    tuner = backend.tuner
    if tuner is None or not tuner.wanted:
        return False
    progress.say("measuring what is faster here ...")
    outcome = tuner.run(backend.model)
    system.forget_peak()  # what was compared lay in memory side by side
    if outcome.problem:
        progress.clear()
        notes.note(f"What is faster here was not found out: {outcome.problem}.")
    return outcome.entry is not None


def _machine(plan: FitPlan) -> Machine:
    from importlib.metadata import version  # late: it imports email

    from minireason.backends.loading import machine
    from minireason.benchmark.report import Machine

    return Machine(
        minireason=__version__,
        llama_cpp_python=version("llama-cpp-python"),
        cores=machine().cores,
        n_threads=plan.n_threads,
        n_gpu_layers=plan.n_gpu_layers,
        kv_type=plan.kv_type,
        flash_attention=plan.flash_attention,
        repack=plan.repack,
        n_ubatch=plan.n_ubatch,
        tuned=plan.step_costs is not None,
    )
