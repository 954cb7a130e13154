"""The options that commands share, and what they mean for the reasoner."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from minireason.errors import NotInstalled, UsageError
from minireason.models import catalog, places, store
from minireason.models.hardware import Hardware
from minireason.settings import EFFORT_TOKENS, LoadSettings, Settings

MODEL_VARIABLE = "MINIREASON_MODEL"
_DEFAULTS = Settings()


def complete_installed(start: str) -> Iterator[str]:
    """Names of installed models for the shell's completion."""
    names = [manifest.label for manifest in store.manifests()] + [file.label for _, file in store.installed()]
    yield from sorted({name for name in names if name.startswith(start)})


def complete_model(start: str) -> Iterator[str]:
    """Names of all models for the shell's completion."""
    yield from (spec.name for spec in catalog.load() if spec.name.startswith(start))
    yield from complete_installed(start)


Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        autocompletion=complete_model,
        help=f"Name of a model, or path of a .gguf file. Default: ${MODEL_VARIABLE}, else the best installed R1 distill that fits.",
        show_default=False,
    ),
]
Temperature = Annotated[
    float | None,
    typer.Option(help=f"Randomness; 0 always takes the likeliest token. Default: {_DEFAULTS.temperature}.", show_default=False),
]
TopP = Annotated[
    float | None,
    typer.Option(
        "--top-p", help=f"Sample from the likeliest tokens that make up this share. Default: {_DEFAULTS.top_p}.", show_default=False
    ),
]
Seed = Annotated[int | None, typer.Option(help="Repeat a reply: the same seed gives the same text.", show_default=False)]
MaxTokens = Annotated[int | None, typer.Option(help="Most tokens of thinking and answer together.", show_default=False)]
System = Annotated[str | None, typer.Option(help="A system prompt. The R1 distills are meant to be used without one.", show_default=False)]
Ctx = Annotated[
    int | None, typer.Option("--ctx", help="Context in tokens. Default: what the model and the memory allow.", show_default=False)
]
Threads = Annotated[int | None, typer.Option(help="CPU threads. Default: one per physical core.", show_default=False)]
GpuLayers = Annotated[
    int | None, typer.Option(help="Layers on the GPU. Default: all, where llama.cpp was built for one.", show_default=False)
]
Effort = Annotated[
    str | None,
    typer.Option(
        help="How much to think: " + ", ".join(f"{name} {tokens:,}" for name, tokens in EFFORT_TOKENS.items()) + " tokens.",
        show_default=False,
    ),
]
ThinkingBudget = Annotated[int | None, typer.Option(help="Tokens of thinking, after which the thought is landed.", show_default=False)]
ThinkingSeconds = Annotated[float | None, typer.Option(help="Seconds of thinking, after which the thought is landed.", show_default=False)]
NoLoopCheck = Annotated[bool, typer.Option("--no-loop-check", help="Let a thought go round in circles.")]
Schema = Annotated[
    str | None, typer.Option(metavar="FILE", help="Answer with JSON that fits the JSON schema in this file.", show_default=False)
]
Choice = Annotated[list[str] | None, typer.Option(help="Answer with one of these; give it once for each.", show_default=False)]
Regex = Annotated[str | None, typer.Option(help="Answer with text that fits this regular expression.", show_default=False)]
Offline = Annotated[bool, typer.Option("--offline", help=f"Use no network; the same as {places.OFFLINE_VARIABLES[0]}=1.")]
ModelName = Annotated[
    str, typer.Argument(help="NAME, NAME:QUANT or hf:owner/repo/file.gguf.", autocompletion=complete_model, show_default=False)
]
Thinking = Annotated[
    str | None,
    typer.Option(help="Where the thinking goes: show (standard output), stderr, hide, or a file.", show_default="stderr; with --json hide"),
]


@dataclass(frozen=True, slots=True)
class Asked:
    """The shared options of one command line; None where the user said nothing."""

    model: str | None
    system: str | None
    settings: dict[str, Any] = field(default_factory=dict)
    load: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(model: str | None, system: str | None, offline: bool, **options: Any) -> Asked:
        """Sort options into settings of the reply and of loading; raises BadSetting before anything is loaded."""
        if offline:
            os.environ |= dict.fromkeys(places.OFFLINE_VARIABLES, "1")
        given = {name: value for name, value in options.items() if value is not None}
        load_names = ("n_ctx", "n_threads", "n_gpu_layers")
        load = {name: given.pop(name) for name in load_names if name in given}
        settings = Settings().changed(given)  # type: ignore[arg-type]
        if settings.structured:
            from minireason.reasoning.constraint import constraint

            constraint(settings)
        LoadSettings.of(load)  # type: ignore[arg-type]
        return Asked(model, system, given, load)

    @property
    def structured(self) -> bool:
        """Whether the answer is held to a schema, choices or a regex."""
        return Settings().changed(self.settings).structured  # type: ignore[arg-type]

    def model_name(self) -> str:
        """The model asked for, or the environment's, or the best one installed; raises NotInstalled."""
        named = self.model or os.environ.get(MODEL_VARIABLE)
        if named:
            return named
        from minireason.cli import pull
        from minireason.reasoner import default_model

        found = default_model() or pull.offer()
        if found is None:
            message = (
                "No model is installed. See what fits here with: minireason models, fetch one with: minireason pull NAME, or give a file "
                "with --model PATH.gguf; to only see how it works, try the built-in demonstration: --model tiny."
            )
            raise NotInstalled(message, places.models_dir())
        return found


def read_schema(file: str | None) -> Any:
    """The JSON in a file; raises UsageError."""
    if file is None:
        return None
    try:
        schema = json.loads(Path(file).read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"The schema {file} could not be read ({error.strerror or error}).") from None
    except ValueError as error:
        raise UsageError(f"The schema {file} is not JSON ({error}); mend it there.") from None
    if not isinstance(schema, dict):
        raise UsageError(f'The schema {file} has to be a JSON object such as {{"type": "object", ...}}.')
    return schema


def machine() -> Hardware:
    """This machine with its GPUs and, measured once, the speed of its memory."""
    from minireason.reasoner import machine as probe

    return probe(measured=True)


def interactive() -> bool:
    """Whether there is a person to ask."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty() and sys.stdout.isatty()
