"""minireason models and show: what there is, what fits on this machine, what is installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from minireason.cli import completion, here
from minireason.cli.commands import models_remote
from minireason.cli.grouped import expand
from minireason.cli.remote import Remote
from minireason.cli.terminal import notes, table
from minireason.cli.terminal.table import Columns
from minireason.cli.terminal.wrapping import print_wrapped
from minireason.errors import UsageError
from minireason.host.hardware import Hardware
from minireason.models import catalog, imported, listing, named, recommend, store
from minireason.models.imported import Imported
from minireason.models.listing import Listed
from minireason.models.plan import FitPlan
from minireason.models.spec import ModelSpec, Quant

MEMORY_AT = 8192
"""Tokens of context for which the table gives the memory needed."""

_HEADERS = [
    "model",
    "GB",
    f"GiB at {MEMORY_AT // 1024}k",
    "here",
    "tokens/s",
    "AIME 24",
    "MATH-500",
    "installed",
]
_COLUMNS = Columns(left=(0, 3), drop=(6, 5, 2, 4, 1, 7))


@expand
def models(
    *,
    every: Annotated[
        bool, typer.Option("--all", help="Every quant, not only each model's default.")
    ] = False,
    remote: Remote,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """List the models there are, and which of them fit here.

    For each: its size, the memory that it needs, whether it fits on this machine, its speed here
    (an estimate), its published scores, and whether it is installed. With --url the models of that
    server, and what it tells of them.
    """
    if remote.url is not None:
        if every:
            raise UsageError("--all is for models of this machine; leave it out beside --url.")
        return models_remote.run(remote, as_json=as_json)
    machine = here.machine()
    for problem in catalog.problems():
        left_out = "That model" if problem.field else "The whole file"
        notes.error_line(f"{problem} {left_out} is left out.")
    rows = [row(model, machine) for model in listing.listed(machine, every_quant=every)]
    if as_json:
        print(json.dumps(rows))
        return 0
    table.print_table(_HEADERS, [_cells(entry) for entry in rows], _COLUMNS)
    _say_what_is_free(machine)
    return 0


def _say_what_is_free(machine: Hardware) -> None:
    """A line on the memory that models may have here, and which one to take."""
    gpus = "".join(
        f", {gpu.free_bytes / 2**30:.1f} GiB on {gpu.description}" for gpu in machine.gpus
    )
    best = recommend.best(machine)
    advice = (
        f" The R1 distill to take here, by memory and speed: {store.label(*best)}." if best else ""
    )
    notes.note(f"Here {machine.free_bytes / 2**30:.1f} GiB of memory are free{gpus}.{advice}")


def row(model: Listed, machine: Hardware) -> dict[str, Any]:
    """What the table says of a model, as data; bytes, tokens and percent."""
    longest, usual = model.judge(machine), model.judge(machine, MEMORY_AT)
    plan = longest if isinstance(longest, FitPlan) else None
    return {
        "model": model.name,
        "params": model.params,
        "bytes": model.bytes,
        "approximate": model.approximate,
        "needed_bytes": usual.needed_bytes if usual else None,
        "verdict": model.verdict(longest),
        "n_ctx": plan.n_ctx if plan else None,
        "tokens_per_s": plan.tokens_per_s if plan else None,
        "scores": model.scores,
        "installed": model.installed,
        "path": str(model.path) if model.path else None,
    }


def show(
    name: completion.ModelName,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Show all that is known about a model.

    That is its licence, files, hashes and scores, and how it would run here.
    """
    machine = here.machine()
    if entry := imported.find(name):
        _print_facts(_imported_facts(entry, machine), as_json=as_json)
        return 0
    spec, quant = named.find(name)
    quants = [quant] if quant else list(spec.quants.values())
    details = [_details(spec, each, machine) for each in quants]
    facts = {
        "model": spec.name,
        "aliases": spec.aliases,
        "params": spec.params,
        "licence": spec.licence,
        "base": spec.base,
        "context": spec.context,
        "scores": spec.scores,
        "quants": details,
    }
    _print_facts(facts, as_json=as_json)
    return 0


def _imported_facts(entry: Imported, machine: Hardware) -> dict[str, Any]:
    model = listing.of_import(entry)
    details = row(model, machine) | {
        "repo": None,
        "files": [Path(file.path).name for file in entry.manifest.files],
        "revision": None,
        "sha256": [file.sha256 for file in entry.manifest.files],
        "quality": "",
        "source": entry.manifest.source,
    }
    return {
        "model": model.name,
        "aliases": (),
        "params": model.params,
        "licence": model.licence,
        "base": entry.text("general.base_model.0.name") or entry.text("general.name"),
        "context": model.shape.context if model.shape else 0,
        "scores": {},
        "quants": [details],
    }


def _print_facts(facts: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(facts))
        return
    known = [f"{facts['params'] / 1e9:.1f} billion parameters"] if facts["params"] > 1e8 else []
    known += [f"{facts['context']:,} tokens of context"] if facts["context"] else []
    known += [f"base: {facts['base']}"] if facts["base"] else []
    lines = ["  ".join([facts["model"], ", ".join(known)])]
    lines.append(f"licence: {facts['licence'] or 'see its page'}")
    if facts["aliases"]:
        lines.append(f"also called: {', '.join(facts['aliases'])}")
    if facts["scores"]:
        scores = (f"{key} {value:g}" for key, value in facts["scores"].items())
        lines.append(f"scores: {', '.join(scores)}")
    for entry in facts["quants"]:
        lines += _quant_lines(entry)
    for line in lines:
        own = len(line) - len(line.lstrip())
        print_wrapped(line, indent=" " * (own + 2))


def _quant_lines(entry: dict[str, Any]) -> list[str]:
    about = " (about)" if entry["approximate"] else ""
    size = f"{entry['bytes'] / 1e9:.2f} GB{about}" if entry["bytes"] else ""
    lines = ["", f"{entry['model']}  {size}  {entry['quality']}".rstrip()]
    if entry["repo"]:
        origin = f"{entry['repo']}@{entry['revision'] or 'main'}"
        lines.append(f"  {', '.join(entry['files'])} of {origin}")
    else:
        lines.append(f"  {entry.get('source', 'inside the package')}")
    lines += [f"  sha256 {value}" for value in entry["sha256"]]
    longest = f", up to {entry['n_ctx']:,} tokens of context" if entry["n_ctx"] else ""
    installed = f"; installed: {entry['path']}" if entry["installed"] else ""
    lines.append(f"  here: {entry['verdict']}{longest}{installed}")
    return lines


def _details(spec: ModelSpec, quant: Quant, machine: Hardware) -> dict[str, Any]:
    return row(listing.of_quant(spec, quant), machine) | {
        "repo": quant.repo,
        "files": quant.files,
        "revision": quant.revision,
        "sha256": quant.sha256,
        "quality": catalog.quality(quant.name),
    }


def _cells(entry: dict[str, Any]) -> list[str]:
    scores = entry["scores"]
    here = entry["verdict"]
    if here == "fits with less context":
        here = f"fits up to {entry['n_ctx']:,}"
    speed = f"~{entry['tokens_per_s']:.1f}" if entry["tokens_per_s"] else ""
    needed = f"{entry['needed_bytes'] / 2**30:.1f}" if entry["needed_bytes"] else ""
    marks = [f"{scores[key]:g}" if key in scores else "" for key in ("aime24", "math500")]
    installed = "yes" if entry["installed"] else ""
    return [entry["model"], table.gigabytes(entry["bytes"]), needed, here, speed, *marks, installed]
