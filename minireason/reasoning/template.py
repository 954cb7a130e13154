"""Run a model file's own chat template, which is a program that a stranger wrote.

It runs in jinja2's immutable sandbox, in a child process with a limit on time, memory and output: a
sandbox keeps a template from calling things, and not from building a string of a terabyte.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from minireason.host import child

TIMEOUT_S = 10.0
MAX_CHARS = 1_000_000
_MAX_MEMORY_BYTES = 512 * 2**20
_MAX_OUTPUT_BYTES = 16 * 2**20


class TemplateError(Exception):
    """The template failed; the message is one line."""


def render(template: str, messages: list[dict[str, str]], variables: dict[str, Any]) -> str:
    """The rendered template with `add_generation_prompt` on; raises TemplateError."""
    return render_all(template, [messages], variables)[0]


def render_all(
    template: str, conversations: list[list[dict[str, str]]], variables: dict[str, Any]
) -> list[str]:
    """Several conversations in one child, up to the first that fails.

    Raises TemplateError if that is the first of them.
    """
    request = json.dumps(
        {"template": template, "conversations": conversations, "variables": variables}
    )
    limits = child.Limits(TIMEOUT_S, _MAX_MEMORY_BYTES, _MAX_OUTPUT_BYTES)
    try:
        ended = child.run(__name__, limits=limits, request=request.encode(), bare=True)
    except OSError as error:
        raise TemplateError(f"the chat template could not be run ({error})") from None
    rendered = [str(json.loads(line)) for line in ended.output.split(b"\n")[:-1]]
    if not rendered:
        raise TemplateError(f"the chat template {_problem(ended)}")
    return rendered


def _problem(ended: child.Ended) -> str:
    if ended.cut == "time":
        return f"did not finish within {TIMEOUT_S:.0f} s"
    if ended.cut == "output":
        return f"writes more than {MAX_CHARS} characters"
    return f"failed ({ended.reason or f'status {ended.status}'})"


def _run(request: dict[str, Any]) -> None:
    from datetime import datetime

    from jinja2.exceptions import TemplateRuntimeError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def raise_exception(message: str) -> None:
        raise TemplateRuntimeError(str(message))

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals |= {
        "raise_exception": raise_exception,
        "strftime_now": lambda form: datetime.now().strftime(form),
    }
    template = environment.from_string(request["template"])
    for messages in request["conversations"]:
        size, parts = 0, []
        for part in template.generate(
            messages=messages, add_generation_prompt=True, **request["variables"]
        ):
            size += len(part)
            if size > MAX_CHARS:
                raise TemplateRuntimeError(f"more than {MAX_CHARS} characters")
            parts.append(part)
        text = "".join(parts)
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:  # '\ud800' in the template: no tokenizer takes that
            raise TemplateRuntimeError("it writes what is not valid Unicode") from None
        print(json.dumps(text), flush=True)


def main(_arguments: list[str]) -> None:
    """Run as the child: a JSON request on standard input, texts as lines of JSON on output.

    A reason for an end before all of them goes to standard error.
    """
    try:
        _run(json.load(sys.stdin))
    except MemoryError:
        sys.exit("it wants too much memory")
    except Exception as error:  # whatever a stranger's program raises becomes one line
        sys.exit(f"{type(error).__name__}: {str(error)[:200]}".replace("\n", " "))
