"""Options that change nothing for this model or this build of llama.cpp: not refused, but said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from minireason.cli import wording
from minireason.cli.load_options import Loading
from minireason.cli.options import Asked
from minireason.cli.terminal import notes
from minireason.models import gguf, store

if TYPE_CHECKING:
    from minireason.reasoner import Reasoner

_OF_THINKING = ("effort", "thinking_budget", "thinking_seconds", "loop_check")


def say(asked: Asked, reasoner: Reasoner, model: str) -> None:
    """Say on standard error which options change nothing; `model` is what it was loaded by."""
    names = wording.option_names(Asked)
    lines = [*of_thinking(asked.settings, reasoner, names), *of_loading(asked, reasoner, model)]
    for line in lines:
        notes.error_line(line)


def of_thinking(
    settings: Mapping[str, object], reasoner: Reasoner, names: Mapping[str, str]
) -> Iterable[str]:
    """A sentence on the settings of thinking, where the model does not think."""
    said = [names[name] for name in _OF_THINKING if name in settings]
    if said and not reasoner.thinks:
        yield f"{reasoner.name} does not think, so that {_changes(said)} nothing."


def of_loading(asked: Loading, reasoner: Reasoner, model: str) -> Iterable[str]:
    """A sentence on each option of loading that changes nothing; `model` as in `say`."""
    if asked.n_gpu_layers and not reasoner.plan.n_gpu_layers:
        yield (
            "This llama.cpp finds no GPU that it was built for, so that --gpu-layers changes "
            "nothing; minireason doctor says what there is."
        )
    if asked.repack is None:
        return
    option = "--repack" if asked.repack else "--no-repack"
    if not gguf.check(store.find(model).path).repackable_bytes:
        yield f"No weights of {reasoner.name} can be rearranged, so that {option} changes nothing."
    elif asked.repack and not reasoner.plan.repack:
        yield f"With a GPU weights are not rearranged, so that {option} changes nothing."


def _changes(options: list[str]) -> str:
    verb = "changes" if len(options) == 1 else "change"
    *first, last = options
    return f"{', '.join(first)} and {last} {verb}" if first else f"{last} {verb}"
