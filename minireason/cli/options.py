"""The options of commands that ask a model something, and what they mean for the reasoner."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from minireason.cli.load_options import Loading, given
from minireason.errors import UsageError
from minireason.host import files
from minireason.messages import Message
from minireason.models import gguf, store
from minireason.settings import (
    EFFORT_TOKENS,
    ChainChanges,
    Settings,
)

_DEFAULTS = Settings()
_MAX_SCHEMA_BYTES = 16 * 2**20

# Options by the section of the help that they stand in.
_thinking = functools.partial(typer.Option, show_default=False, rich_help_panel="Thinking")
_answer = functools.partial(typer.Option, show_default=False, rich_help_panel="Answer")
_sampling = functools.partial(typer.Option, show_default=False, rich_help_panel="Sampling")

Question = Annotated[
    str | None,
    typer.Argument(
        help="The question; text on standard input is added after a blank line.",
        show_default=False,
    ),
]

Thinking = Annotated[
    str | None,
    typer.Option(
        metavar="WHERE",
        help="Where the thinking goes: show (standard output), stderr, hide, or a file.",
        show_default="stderr; with --json hide",
    ),
]


def _read_schema(file: str) -> dict[str, Any]:
    """The JSON object in a file; raises UsageError."""
    try:
        schema = json.loads(files.read_bytes(Path(file), _MAX_SCHEMA_BYTES).decode("utf-8-sig"))
    except OSError as error:
        raise UsageError(
            f"The schema {file} could not be read ({error.strerror or error}); "
            "give the path of a file."
        ) from None
    except RecursionError:
        raise UsageError(f"The schema {file} is nested too deeply; make it flatter.") from None
    except ValueError as error:
        raise UsageError(f"The schema {file} is not JSON ({error}); mend it there.") from None
    if not isinstance(schema, dict):
        raise UsageError(
            f'The schema {file} has to be a JSON object such as {{"type": "object", ...}}.'
        )
    return schema


def _off(said: bool | None) -> bool | None:
    """What a flag --no-X makes of its setting X."""
    return False if said else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Loading):
    """The options of every command that asks a model something; None where the user said nothing.

    A field with the name of one in `Settings` changes that one, as for `Loading`. Raises
    BadSetting, before anything is loaded.
    """

    system: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="A system prompt. The R1 distills are meant to be used without one.",
            show_default=False,
        ),
    ] = None

    effort: Annotated[
        str | None,
        _thinking(
            metavar="LEVEL",
            help="How much to think: "
            + ", ".join(f"{name} {tokens:,}" for name, tokens in EFFORT_TOKENS.items())
            + " tokens.",
        ),
    ] = None
    thinking_budget: Annotated[
        int | None,
        _thinking(metavar="TOKENS", help="Tokens of thinking, after which the thought is landed."),
    ] = None
    thinking_seconds: Annotated[
        float | None,
        _thinking(
            metavar="SECONDS", help="Seconds of thinking, after which the thought is landed."
        ),
    ] = None
    loop_check: Annotated[
        bool | None,
        _thinking("--no-loop-check", callback=_off, help="Let a thought go round in circles."),
    ] = None

    schema: Annotated[
        dict[str, Any] | None,
        _answer(
            parser=_read_schema,
            metavar="FILE",
            help="Answer with JSON that fits the JSON schema in this file.",
        ),
    ] = None
    choices: Annotated[
        list[str] | None,
        _answer(
            "--choice", metavar="TEXT", help="Answer with one of these; give it once for each."
        ),
    ] = None
    regex: Annotated[
        str | None,
        _answer(metavar="PATTERN", help="Answer with text that fits this regular expression."),
    ] = None

    temperature: Annotated[
        float | None,
        _sampling(
            help="Randomness; 0 always takes the likeliest token. "
            f"Default: {_DEFAULTS.temperature}."
        ),
    ] = None
    top_p: Annotated[
        float | None,
        _sampling(
            help="Sample from the likeliest tokens that make up this share. "
            f"Default: {_DEFAULTS.top_p}."
        ),
    ] = None
    seed: Annotated[
        int | None,
        _sampling(help="Repeat a reply. To get the same text for sure, add --reproducible."),
    ] = None
    max_tokens: Annotated[
        int | None,
        _sampling(metavar="TOKENS", help="Most tokens of thinking and answer together."),
    ] = None

    def __post_init__(self) -> None:
        Loading.__post_init__(self)
        settings = Settings(**self.settings)
        if self.n_ctx is not None:
            settings.check_context(self.n_ctx)
        if settings.structured:
            from minireason.reasoning.structured.grammar import constraint

            constraint(settings)

    @property
    def settings(self) -> ChainChanges:
        """What was asked for of the reply."""
        return cast("ChainChanges", given(self, Settings))

    def messages(self, question: str) -> list[Message]:
        """The question after the system prompt, if there is one."""
        system = [Message(role="system", content=self.system)] if self.system else []
        return [*system, Message(role="user", content=question)]

    @property
    def structured(self) -> bool:
        """Whether the answer is held to a schema, choices or a regex."""
        return Settings(**self.settings).structured

    def model_name(self) -> str:
        """The model asked for, or the environment's, or the best one installed.

        It is checked to hold the thinking asked for. Raises NotInstalled, ModelFileError or
        BadSetting.
        """
        name = Loading.model_name(self)
        if self.thinking_budget is not None:
            self._check_trained_for(name)
        return name

    def _check_trained_for(self, name: str) -> None:
        """Raise BadSetting for more thinking than a model's context can hold.

        Its header is read (20 ms for 152k tokens), and read again when it is loaded, so that a
        wrong number is refused before that.
        """
        header = gguf.check(store.find(name).path)
        Settings(**self.settings).check_context(header.number("context_length"))
