"""Options in groups: a dataclass of options as one parameter of a command, a help with sections."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer.core
from typer.models import OptionInfo

_LAST = ("Loading",)
"""Headings that come after all others, wherever their options stand."""


class Sectioned(typer.core.TyperCommand):
    """A command whose help puts options with a `rich_help_panel` under a heading of their own."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the sections; the classes are click's, of which typer has a private copy."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            heading = (
                getattr(parameter, "rich_help_panel", None)
                or f"{parameter.param_type_name.title()}s"
            )
            sections.setdefault(heading, []).extend(filter(None, [parameter.get_help_record(ctx)]))
        for heading in [heading for heading in sections if heading in _LAST]:
            sections[heading] = sections.pop(heading)
        for heading, lines in sections.items():
            if lines:
                with formatter.section(heading):
                    formatter.write_dl(lines)


def expand(command: Callable[..., int]) -> Callable[..., int]:
    """Decorate a command so that typer sees the fields of its dataclasses of options.

    A parameter typed with one, like `options.Asked`, is handed to the command as one value.
    """
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
    # where inspect, and so typer, looks first
    expanded.__dict__["__signature__"] = signature.replace(parameters=options)
    return expanded


def whole(text: str) -> int | str:
    """A whole number, or the text as it is where it is none."""
    try:
        return int(text)
    except ValueError:
        return text


def number(text: str) -> float | str:
    """A number, or the text as it is where it is none."""
    try:
        return float(text)
    except ValueError:
        return text


_READ_AS: dict[type, tuple[Callable[[str], object], str]] = {
    int: (whole, "N"),
    float: (number, "X"),
}
"""How the text of an option of a type is read, and what the help calls it."""


def _fields(kind: type) -> dict[str, inspect.Parameter]:
    if not is_dataclass(kind):
        return {}
    hints = get_type_hints(kind, include_extras=True)  # of each base by the names of its module
    parameters = inspect.signature(kind).parameters
    return {
        name: _checked_by_us(parameter.replace(annotation=hints[name]))
        for name, parameter in parameters.items()
    }


def _checked_by_us(parameter: inspect.Parameter) -> inspect.Parameter:
    """The same; if it is a number, what is none comes through as text.

    So the check of the setting says what is wrong with it, in our words, as of any other value.
    """
    if get_origin(parameter.annotation) is not Annotated:
        return parameter
    kind, info = get_args(parameter.annotation)
    for of, (parser, metavar) in _READ_AS.items():
        if of in get_args(kind) and isinstance(info, OptionInfo):
            info = copy.copy(info)
            info.parser, info.metavar = parser, info.metavar or metavar
    return parameter.replace(annotation=Annotated[kind, info])
