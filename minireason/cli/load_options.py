"""The options of commands that load a model."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, fields
from typing import Annotated, cast

import typer

from minireason.cli.completion import complete_model
from minireason.cli.served_names import complete_asked
from minireason.host import paths
from minireason.settings import LoadChanges, LoadSettings, Settings, VoteSettings

MODEL_VARIABLE = "MINIREASON_MODEL"
_loading = functools.partial(typer.Option, show_default=False, rich_help_panel="Loading")


def _forbid_network(offline: bool) -> bool:
    """Let the environment say so, where huggingface_hub and child processes look too."""
    if offline:
        os.environ |= dict.fromkeys(paths.OFFLINE_VARIABLES, "1")
    return offline


def _on(said: bool | None) -> bool | None:
    """What a flag --X makes of its setting X."""
    return True if said else None


Offline = Annotated[
    bool,
    typer.Option(
        "--offline",
        callback=_forbid_network,
        help=f"Use no network; the same as {paths.OFFLINE_VARIABLES[0]}=1.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """How models are loaded; None where the user said nothing.

    A field with the name of one in `LoadSettings` changes that one, so that a new option takes a
    field here and nothing else. Raises BadSetting, before anything is loaded.
    """

    n_ctx: Annotated[
        int | None,
        _loading(
            "--ctx",
            metavar="TOKENS",
            help="Context. Default: what the model and the memory allow.",
        ),
    ] = None
    n_threads: Annotated[
        int | None,
        _loading("--threads", help="CPU threads at most. Default: one per physical core."),
    ] = None
    n_gpu_layers: Annotated[
        int | None,
        _loading(
            "--gpu-layers",
            help="Layers on the GPU. Default: all, where llama.cpp was built for one.",
        ),
    ] = None
    repack: Annotated[
        bool | None,
        _loading(
            "--repack/--no-repack",
            help="Rearrange the weights for the CPU. "
            "Default: yes, where that makes 4-bit weights faster.",
        ),
    ] = None
    draft_model: Annotated[
        str | None,
        _loading(
            metavar="NAME",
            autocompletion=complete_model,
            help="A smaller model with the same vocabulary, which drafts tokens. "
            "Default: what came before in the text.",
        ),
    ] = None
    reproducible: Annotated[
        bool | None,
        _loading(
            "--reproducible",
            callback=_on,
            help="The same seed gives the same text, whatever else this machine does.",
        ),
    ] = None

    def __post_init__(self) -> None:
        LoadSettings(**self.load)

    @property
    def load(self) -> LoadChanges:
        """What was asked for of loading."""
        return cast("LoadChanges", given(self, LoadSettings))


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading(LoadOptions):
    """The options of every command that loads one model; see `LoadOptions`."""

    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME",
            autocompletion=complete_asked,
            help=f"Name of a model, or path of a .gguf file. Default: ${MODEL_VARIABLE}, "
            "else the best installed model that fits.",
            show_default=False,
        ),
    ] = None
    offline: Offline = False

    def model_name(self) -> str:
        """The model asked for, or the environment's, or the best one installed.

        Raises NotInstalled.
        """
        return self.model or default_model_name()


def default_model_name() -> str:
    """The environment's model, the best one installed, or one that is offered and fetched.

    Raises NotInstalled.
    """
    from minireason.backends.loading import default_model
    from minireason.cli import fetching

    return os.environ.get(MODEL_VARIABLE) or default_model() or fetching.offer()


def given(options: object, kind: type[Settings | LoadSettings | VoteSettings]) -> dict[str, object]:
    """The options that were said, out of those with the name of a setting of this kind."""
    values = {field.name: getattr(options, field.name, None) for field in fields(kind)}
    return {name: value for name, value in values.items() if value is not None}
