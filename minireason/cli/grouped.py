"""Options in groups: a dataclass of options as one parameter of a command, and a help with sections."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from typing import Any

import typer.core


class Sectioned(typer.core.TyperCommand):
    """A command whose help puts options with a `rich_help_panel` under a heading of their own."""

    def format_options(
        self, ctx: Any, formatter: Any
    ) -> None:  # classes of click's, of which typer has a copy without public names
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            heading = (
                getattr(parameter, "rich_help_panel", None)
                or f"{parameter.param_type_name.title()}s"
            )
            sections.setdefault(heading, []).extend(filter(None, [parameter.get_help_record(ctx)]))
        for heading, lines in sections.items():
            if lines:
                with formatter.section(heading):
                    formatter.write_dl(lines)


def expand(command: Callable[..., int]) -> Callable[..., int]:
    """Decorate a command so that a parameter typed with a dataclass of options, like `options.Asked`, looks to typer like its fields."""
    signature = inspect.signature(command, eval_str=True)
    groups = {
        name: _fields(parameter.annotation) for name, parameter in signature.parameters.items()
    }

    @functools.wraps(command)
    def expanded(**values: object) -> int:
        for name, group in groups.items():
            if group:
                values[name] = signature.parameters[name].annotation(
                    **{field: values.pop(field) for field in group}
                )
        return command(**values)

    def flat() -> Iterator[inspect.Parameter]:
        for name, parameter in signature.parameters.items():
            yield from groups[name].values() or [parameter]

    options = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in flat()]
    expanded.__dict__["__signature__"] = signature.replace(
        parameters=options
    )  # where inspect, and so typer, looks first
    return expanded


def _fields(kind: type) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(kind, eval_str=True).parameters) if is_dataclass(kind) else {}
