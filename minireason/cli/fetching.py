"""Fetching a model with a progress bar, and offering the best one where none is installed."""

from __future__ import annotations

from minireason.cli import here
from minireason.cli.terminal import notes
from minireason.cli.terminal.transfer import Transfer
from minireason.errors import NotInstalled
from minireason.host import paths
from minireason.models import recommend, store
from minireason.models.spec import ModelSpec, Quant
from minireason.models.store import Manifest


def fetch(spec: ModelSpec, quant: Quant) -> Manifest | None:
    """Pull with a progress bar; None if it is there already.

    Raises StoreError or ModelFileError.
    """
    from minireason.backends.loading import open_once
    from minireason.models.pull import pull

    with Transfer() as transfer:
        return pull(spec, quant, open_once, transfer.watch)


def offer() -> str:
    """The name of the best R1 distill that fits here, fetched if a person on a terminal says so.

    Raises NotInstalled where there is nobody to say so, no network, or nothing that fits.
    """
    best = recommend.best(here.machine())
    if best and notes.can_ask() and not paths.offline():
        size = f"{best[1].bytes / 1e9:.1f} GB"
        question = f"No model is installed. Fetch {store.label(*best)} ({size}), the best for"
        if notes.confirmed(f"{question} this machine?", default=True):
            fetch(*best)
            return store.label(*best)
    raise NotInstalled(_nothing_installed(best), paths.models_dir())


def _nothing_installed(best: tuple[ModelSpec, Quant] | None) -> str:
    pull = [f"the best for this machine: minireason pull {store.label(*best)}"] if best else []
    pull.append("all there are: minireason models")
    others = [
        "a file of yours: --model PATH.gguf",
        "the built-in demonstration, to see how it works: --model tiny",
    ]
    if paths.offline():
        online = f"with the network on, {pull[0]}"
        return f"No model is installed, and {paths.SWITCHED_OFF}; {', '.join([*others, online])}."
    return f"No model is installed; {', '.join(pull + others)}."
