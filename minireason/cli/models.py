"""minireason models and show: what there is, what fits on this machine, what is installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from minireason.cli import options, render
from minireason.errors import DoesNotFit
from minireason.models import catalog, choose, store
from minireason.models.catalog import ModelSpec, Quant
from minireason.models.fit import FitPlan
from minireason.models.hardware import Hardware

MEMORY_AT = 8192
"""Tokens of context for which the table gives the memory needed."""


def models(
    every: Annotated[
        bool, typer.Option("--all", help="Every quant, not only each model's default.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """List the models of the catalogue and what was imported: size, memory, whether it fits here, speed, scores."""
    machine = options.machine()
    for problem in catalog.problems():
        render.error_line(f"{problem} That model is left out.")
    noted = store.manifests()
    rows = []
    for spec in catalog.load():
        here = {
            file.label: file.path
            for quant in spec.quants.values()
            if (file := store.installed_file(spec, quant, noted))
        }
        chosen = list(spec.quants.values()) if every else [spec.quants[spec.default_quant]]
        chosen += [
            quant
            for quant in spec.quants.values()
            if quant not in chosen and store.label(spec, quant) in here
        ]
        rows += [row(spec, quant, machine, here.get(store.label(spec, quant))) for quant in chosen]
    known = {spec.name for spec in catalog.load()}
    imported = [manifest for manifest in noted if manifest.name not in known]
    if as_json:
        extra = [
            {
                "model": entry.label,
                "bytes": sum(file.bytes for file in entry.files),
                "installed": True,
                "path": str(entry.path),
            }
            for entry in imported
        ]
        print(json.dumps(rows + extra))
        return 0
    free = f"{machine.free_bytes / 2**30:.1f} GiB of memory free"
    gpus = "".join(
        f", {gpu.free_bytes / 2**30:.1f} GiB on {gpu.description}" for gpu in machine.gpus
    )
    render.table(
        [
            "model",
            "GB",
            f"GiB at {MEMORY_AT // 1024}k",
            f"here ({free}{gpus})",
            "tokens/s",
            "AIME 24",
            "MATH-500",
            "installed",
        ],
        [_cells(entry) for entry in rows]
        + [_imported_cells(entry.label, entry.files[0].bytes) for entry in imported],
    )
    return 0


def row(spec: ModelSpec, quant: Quant, machine: Hardware, installed: Path | None) -> dict[str, Any]:
    """What the table says of a quant, as data; bytes, tokens and percent."""
    longest, usual = (
        choose.judge(spec, quant, machine),
        choose.judge(spec, quant, machine, MEMORY_AT),
    )
    return {
        "model": store.label(spec, quant),
        "params": spec.params,
        "bytes": quant.bytes,
        "approximate": quant.approximate,
        "needed_bytes": usual.needed_bytes if usual else None,
        "verdict": verdict(longest, spec.context),
        "n_ctx": longest.n_ctx if isinstance(longest, FitPlan) else None,
        "tokens_per_s": longest.tokens_per_s if isinstance(longest, FitPlan) else None,
        "scores": spec.scores,
        "installed": installed is not None,
        "path": str(installed) if installed else None,
    }


def verdict(judged: FitPlan | DoesNotFit | None, trained: int) -> str:
    """One of "fits", "fits with less context", "too big", "unknown"."""
    if judged is None:
        return "unknown"
    if isinstance(judged, DoesNotFit) or judged.n_ctx < min(choose.ENOUGH_CONTEXT, trained):
        return "too big"
    return (
        "fits" if judged.n_ctx >= min(choose.AMPLE_CONTEXT, trained) else "fits with less context"
    )


def show(
    name: options.ModelName,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Everything known about a model: licence, files, hashes, scores, and how it would run here."""
    spec, named = catalog.find(name)
    machine = options.machine()
    quants = [named] if named else list(spec.quants.values())
    details = [_details(spec, quant, machine) for quant in quants]
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
    if as_json:
        print(json.dumps(facts))
        return 0
    known = [f"{spec.params / 1e9:.1f} billion parameters"] if spec.params > 1e8 else []
    known += [f"{spec.context:,} tokens of context"] if spec.context else []
    print(
        "  ".join([spec.name, ", ".join([*known, *([f"from {spec.base}"] if spec.base else [])])])
    )
    print(f"licence: {spec.licence or 'see its page'}")
    if spec.aliases:
        print(f"also called: {', '.join(spec.aliases)}")
    if spec.scores:
        print("scores: " + ", ".join(f"{key} {value:g}" for key, value in spec.scores.items()))
    for quant, entry in zip(quants, details, strict=True):
        size = (
            f"{quant.bytes / 1e9:.2f} GB{' (about)' if quant.approximate else ''}"
            if quant.bytes
            else ""
        )
        print(f"\n{entry['model']}  {size}  {entry['quality']}".rstrip())
        print(
            f"  {', '.join(quant.files)} of {quant.repo}@{quant.revision or 'main'}"
            if quant.repo
            else "  inside the package"
        )
        for value in quant.sha256:
            print(f"  sha256 {value}")
        longest = f", up to {entry['n_ctx']:,} tokens of context" if entry["n_ctx"] else ""
        print(
            f"  here: {entry['verdict']}{longest}"
            + (f"; installed: {entry['path']}" if entry["installed"] else "")
        )
    return 0


def _details(spec: ModelSpec, quant: Quant, machine: Hardware) -> dict[str, Any]:
    file = store.installed_file(spec, quant)
    origin = {
        "repo": quant.repo,
        "files": quant.files,
        "revision": quant.revision,
        "sha256": quant.sha256,
    }
    return (
        row(spec, quant, machine, file.path if file else None)
        | origin
        | {"quality": catalog.quality(quant.name)}
    )


def _cells(entry: dict[str, Any]) -> list[str]:
    scores, gigabytes = entry["scores"], entry["bytes"] / 1e9
    size = f"{gigabytes:.{1 if gigabytes >= 0.1 else 3}f}" if gigabytes else ""
    here = entry["verdict"] + (
        f" ({entry['n_ctx']:,})" if entry["verdict"] == "fits with less context" else ""
    )
    speed = f"~{entry['tokens_per_s']:.1f}" if entry["tokens_per_s"] else ""
    needed = f"{entry['needed_bytes'] / 2**30:.1f}" if entry["needed_bytes"] else ""
    marks = [f"{scores[key]:g}" if key in scores else "" for key in ("aime24", "math500")]
    return [entry["model"], size, needed, here, speed, *marks, "yes" if entry["installed"] else ""]


def _imported_cells(label: str, size: int) -> list[str]:
    return [label, f"{size / 1e9:.1f}", "", "", "", "", "", "yes"]
