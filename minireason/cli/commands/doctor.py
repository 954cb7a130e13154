"""minireason doctor: what was found, what is used, what is wrong and the command that mends it."""

from __future__ import annotations

import json
import os
import platform
import shutil
from dataclasses import asdict
from typing import Annotated

import typer

from minireason.cli import here
from minireason.cli.commands import doctor_remote, measured_here
from minireason.cli.finding import Finding
from minireason.cli.grouped import expand
from minireason.cli.remote import Remote
from minireason.cli.terminal import output
from minireason.cli.terminal.wrapping import wrapped
from minireason.errors import MinireasonError, UsageError
from minireason.host import gpus, paths
from minireason.host.hardware import Hardware
from minireason.models import catalog, recommend, store
from minireason.version import __version__

LOW_DISK_BYTES = 6 * 10**9
"""Less than this is too little for the 7B model."""

_TERM_CELLS = 16
_WIDE = 80
"""Columns from which a finding stands beside its term."""


@expand
def doctor(
    *,
    measure: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="Measure anew what is faster here for this model; takes seconds."
        ),
    ] = None,
    remote: Remote,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Say what was found, what is wrong, and how to mend it.

    With --url that is of the server: its kind, its models, and which settings it can follow. The
    exit code is 1 if anything is wrong.
    """
    if remote.url is None:
        findings = _of_this_machine(measure)
    elif measure is None:
        findings = doctor_remote.findings(remote)
    else:
        raise UsageError("--measure is for a model of this machine; leave it out beside --url.")
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            _show(finding)
    return 1 if any(finding.mend for finding in findings) else 0


def _of_this_machine(measure: str | None) -> list[Finding]:
    newly = [] if measure is None else measured_here.measure(measure)
    known = measured_here.findings()  # before the rest mends a damaged file
    return [
        Finding(
            "minireason",
            f"{__version__}, Python {platform.python_version()} on {platform.platform()}",
        ),
        *_engine(),
        *newly,
        *known,
        *_store(),
        *_network(),
    ]


def _show(finding: Finding) -> None:
    """Print a finding on standard output.

    On a terminal the words are wrapped beside the term, or below it where it is narrow; what is to
    be done stands whole on a line of its own, so that it can be copied.
    """
    console = output.console()
    head = f"{'!' if finding.mend else ' '} {finding.what:{_TERM_CELLS}} "
    if not console.is_terminal:
        print(f"{head}{finding.found}")
        if finding.mend:
            print(f"  {'':{_TERM_CELLS}} -> {finding.mend}")
        return
    beside = console.width >= _WIDE
    indent = " " * len(head) if beside else "    "
    lines = wrapped(finding.found, max(20, console.width - 1 - len(indent)))
    if not beside:
        lines.insert(0, "")
    print("\n".join([f"{head}{lines[0]}".rstrip(), *(indent + line for line in lines[1:])]))
    if finding.mend:
        print(f"{indent}-> {finding.mend}")


def _engine() -> list[Finding]:
    from importlib.metadata import version  # late: it imports email, which other commands need not

    try:
        from minireason.backends.loading import engine_info
        from minireason.reasoner import load
    except MinireasonError as error:
        return [Finding("llama.cpp", "cannot be loaded", str(error))]
    findings = [
        Finding("llama.cpp", f"llama-cpp-python {version('llama-cpp-python')}; {engine_info()}")
    ]
    try:
        with load("tiny") as reasoner:
            right = reasoner.ask("What is 2 + 3?", temperature=0).boxed == "5"
        trial = Finding("trial run", "the built-in model gives a wrong sum", _REINSTALL)
        if right:
            trial = Finding("trial run", "the built-in model adds 2 and 3")
        findings.append(trial)
    except MinireasonError as error:
        findings.append(Finding("trial run", str(error), _REINSTALL))
    return findings + _machine(here.machine())


_REINSTALL = (
    "install llama.cpp again: pip install --force-reinstall --no-cache-dir llama-cpp-python"
)


def _machine(machine: Hardware) -> list[Finding]:
    simd = " ".join(machine.simd) or "vector instructions unknown"
    memory = f"{_gib(machine.free_bytes)} of {_gib(machine.total_bytes)} GiB free"
    best = recommend.best(machine)
    name = store.label(*best) if best else "no R1 distill; see minireason models"
    return [
        Finding("CPU", f"{_counted(machine.cores, 'core')} used; {simd}"),
        Finding("threads", _threads(machine.cores)),
        Finding("memory", memory + _speed(machine)),
        *_gpus(machine),
        Finding("best that fits", name),
    ]


def _threads(most: int) -> str:
    """How many compute, and whether the environment makes them slow."""
    count = "1"
    if most > 1:
        count = f"{most}, fewer while other programs keep cores busy"
    passive = os.environ.get("OMP_WAIT_POLICY", "").lower() == "passive"
    if most > 1 and passive:
        return f"{count}; OMP_WAIT_POLICY=passive makes them slow, leave it unset"
    return count


def _gpus(machine: Hardware) -> list[Finding]:
    findings = [
        Finding(
            "GPU",
            f"{gpu.description}, {_gib(gpu.free_bytes)} of {_gib(gpu.total_bytes)} GiB free",
        )
        for gpu in machine.gpus
    ]
    for name, line in gpus.unusable_gpus(machine.gpus):
        unused = f"{name} is there, and this llama.cpp was built without support for it"
        findings.append(Finding("GPU", unused, line))
    return findings or [Finding("GPU", "none; everything runs on the CPU")]


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _speed(machine: Hardware) -> str:
    if not machine.bandwidth_bytes_per_s:
        return ""
    return f", read at {machine.bandwidth_bytes_per_s / 1e9:.1f} GB/s"


def _store() -> list[Finding]:
    findings = [_data()]
    findings += [
        Finding("own models.toml", str(problem), "mend that line") for problem in catalog.problems()
    ]
    files = [file.label for _, file in store.installed()]
    files += [manifest.label for manifest in store.manifests() if manifest.label not in files]
    findings.append(Finding("installed", ", ".join(files) or "nothing yet; see minireason models"))
    for path in store.damaged_manifests():
        mend = f"rm '{path}', then pull or import that model again"
        findings.append(Finding("manifest", f"{path} is damaged", mend))
    for manifest in store.manifests():
        gone = [file.path for file in manifest.files if not os.path.isfile(file.path)]
        if gone:
            lost = f"{manifest.label}: {gone[0]} is gone"
            findings.append(Finding("model", lost, f"minireason rm {manifest.label}"))
    return findings


def _data() -> Finding:
    """The data directory: whether it can be written, and how much room there is."""
    folder = paths.data_dir()
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        mend = "set MINIREASON_HOME to a directory of yours"
        return Finding("data", f"{folder} cannot be written", mend)
    free = shutil.disk_usage(existing).free
    mend = ""
    if free < LOW_DISK_BYTES:
        mend = "free some space, or set MINIREASON_HOME to a directory on another disk"
    return Finding("data", f"{folder}, {free / 1e9:.1f} GB free on that disk", mend)


def _network() -> list[Finding]:
    if paths.offline():
        return [Finding("network", "switched off; what is installed runs")]
    from huggingface_hub import constants, get_token

    token = "with" if get_token() else "without"
    where = f"models come from {constants.ENDPOINT}, {token} a token; not tried just now"
    return [Finding("network", where)]
