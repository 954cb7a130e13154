"""minireason pull, import, verify and rm: get models onto this machine, check and remove them."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from minireason.cli import completion, fetching, here
from minireason.cli.terminal import notes
from minireason.cli.terminal.transfer import Transfer
from minireason.cli.terminal.wrapping import print_wrapped
from minireason.errors import (
    ChecksumMismatch,
    MinireasonError,
    NotInstalled,
    UnknownModel,
)
from minireason.host import paths
from minireason.models import catalog, named, other_tools, recommend, store
from minireason.models.plan import FitPlan
from minireason.models.pull import sized
from minireason.models.spec import ModelSpec, Quant
from minireason.models.store import Manifest

Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Fetch without asking, also what does not fit.")
]
_INSTALLED = typer.Argument(
    help="Installed models.", autocompletion=completion.complete_installed, show_default=False
)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def pull(name: completion.ModelName, yes: Yes = False, as_json: AsJson = False) -> int:
    """Fetch a model: NAME, NAME:QUANT or hf:owner/repo/file.gguf.

    Says first whether it fits.
    """
    spec, named_quant = named.find(name)
    quant = named_quant or spec.quants[spec.default_quant]
    if file := store.installed_file(spec, quant):
        facts = {"installed": file.label, "path": str(file.path)}
        _say(as_json, facts, f"{file.label} is installed already: {file.path}")
        return 0
    approve(spec, quant, yes)
    manifest = fetching.fetch(spec, quant)
    if manifest is None:  # by another process, which this one waited for
        return pull(name, yes, as_json)
    if not manifest.vouched:
        notes.note(f"Nobody publishes a hash of {manifest.label}: it is what the server sent.")
    _say(
        as_json,
        asdict(manifest),
        f'{manifest.label} is installed; try: minireason ask --model {manifest.label} "..."',
    )
    return 0


def approve(spec: ModelSpec, quant: Quant, yes: bool) -> None:
    """Say what a model needs and whether it fits; where it does not, ask on a terminal.

    Raises DoesNotFit for a no.
    """
    quant, machine = sized(quant), here.machine()
    size = f"{quant.bytes / 1e9:.2g} GB" if quant.bytes < 1e10 else f"{quant.bytes / 1e9:.1f} GB"
    word = catalog.quality(quant.name)
    quality = f" ({word})" if word else ""
    notes.note(f"{store.label(spec, quant)}: {size} from {quant.repo}{quality}")
    judged = recommend.judge_unseen(spec, quant, machine)
    if isinstance(judged, FitPlan):
        memory = f"{judged.n_ctx:,} tokens of context in {judged.needed_bytes / 2**30:.1f} GiB"
        speed = f", about {judged.tokens_per_s:.1f} tokens/s" if judged.tokens_per_s else ""
        notes.note(f"It fits: up to {memory} of memory{speed}.")
    elif judged and yes:
        notes.note(str(judged))
    elif judged:
        question = f"{judged} Fetch it all the same?"
        if not (notes.can_ask() and notes.confirmed(question, default=False)):
            raise judged


def rm(
    names: Annotated[list[str], _INSTALLED],
    as_json: AsJson = False,
) -> int:
    """Remove installed models.

    Files of other tools, and files that were imported, stay where they are.
    """
    for name in names:
        label, freed = _removed(name)
        effect = f"{freed / 1e9:.2f} GB freed"
        if not freed:
            effect = "its file was not copied here, and stays"
        _say(as_json, {"removed": label, "freed_bytes": freed}, f"{label} is removed; {effect}.")
    return 0


def _removed(name: str) -> tuple[str, int]:
    """See `store.remove`; what is missing is said to who wants less, and not more, of it."""
    named.refuse_path(name)
    try:
        return store.remove(name)
    except NotInstalled as error:
        message = f"{name} is not installed, so that there is nothing to remove."
        raise NotInstalled(message, error.looked_in) from None
    except UnknownModel as error:
        raise UnknownModel(error.name, error.nearest, error.known, by_path=False) from None


def verify(names: Annotated[list[str] | None, _INSTALLED] = None, as_json: AsJson = False) -> int:
    """Hash installed models again.

    The hashes are compared with those of when they were installed.
    """
    manifests = store.manifests()
    if names:
        manifests = [manifest for name in names for manifest in _named(name)]
    if not manifests:
        notes.note("Nothing is installed that could be verified.")
    problems: dict[str, str] = {}
    for manifest in manifests:
        total = sum(file.bytes for file in manifest.files)
        with Transfer() as transfer:
            transfer.watch.step(f"hashing {manifest.label}")
            try:
                store.verify(manifest, transfer.watch.of(total))
            except (ChecksumMismatch, NotInstalled) as error:
                problems[manifest.label] = str(error)
    labels = [manifest.label for manifest in manifests]
    if as_json:
        rows = [
            {"model": label, "ok": label not in problems, "problem": problems.get(label)}
            for label in labels
        ]
        print(json.dumps(rows))
    else:
        for label in labels:
            print(f"{label}: {problems.get(label, 'as it was installed')}")
    return 6 if problems else 0


def _named(name: str) -> list[Manifest]:
    manifests = [
        manifest
        for manifest in store.manifests()
        if name.lower() in (manifest.name.lower(), manifest.label.lower())
    ]
    if not manifests:
        path = store.find(name).path
        raise NotInstalled(
            f"{name} was not pulled or imported, so there is no hash to compare {path} with; "
            "import it first.",
            path.parent,
        )
    return manifests


def import_models(
    source: Annotated[
        str,
        typer.Argument(
            help="A .gguf file, or 'ollama' or 'lmstudio' for everything those have.",
            show_default=False,
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What to call it. Default: the file's name."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Use GGUF files where they lie, without a copy."""
    from minireason.backends.loading import open_once
    from minireason.models.pull import import_file

    files, failed = _to_import(source, name), 0
    for path, called in files:
        try:
            with Transfer() as transfer:
                manifest = import_file(path, called, open_once, transfer.watch)
        except MinireasonError as error:
            if len(files) == 1:
                raise
            failed += 1
            notes.error_line(str(error))
            continue
        _say(
            as_json,
            asdict(manifest),
            f"{manifest.label} is installed, its file stays at {manifest.path}",
        )
    return 7 if failed else 0


def _to_import(source: str, name: str | None) -> list[tuple[Path, str | None]]:
    """Each file that a source means, and what to call it; raises NotInstalled."""
    others = {
        "ollama": (other_tools.ollama, other_tools.ollama_folders),
        "lmstudio": (other_tools.lmstudio, other_tools.lmstudio_folders),
    }
    if source not in others or os.path.exists(source):
        return [(paths.expanded(source), name)]
    models, folders = others[source]
    files = [(other.path, other.name.replace(":", "-")) for other in models()]
    if not files:
        searched = " or ".join(str(folder) for folder in folders())
        message = f"No models of {source} were found in {searched}; import a file by its path."
        raise NotInstalled(message, Path.home())
    return list(files)


def _say(as_json: bool, facts: dict[str, Any], sentence: str) -> None:
    if as_json:
        print(json.dumps(facts), flush=True)
    else:
        print_wrapped(sentence)
