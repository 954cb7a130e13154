"""Run a model file's own chat template, which is a program that a stranger wrote.

It runs in jinja2's immutable sandbox, in a child process with a limit on time, memory and output: a sandbox keeps a
template from calling things, and not from building a string of a terabyte.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

TIMEOUT_S = 10.0
MAX_CHARS = 1_000_000
_MAX_MEMORY_BYTES = 512 * 2**20
_MAX_CPU_S = 5


class TemplateError(Exception):
    """The template failed; the message is one line."""


def render(template: str, messages: list[dict[str, str]], variables: dict[str, Any]) -> str:
    """The rendered template with `add_generation_prompt` on; raises TemplateError."""
    return render_all(template, [messages], variables)[0]


def render_all(
    template: str, conversations: list[list[dict[str, str]]], variables: dict[str, Any]
) -> list[str]:
    """Several conversations in one child, up to the first that fails; raises TemplateError if that is the first of them."""
    request = json.dumps(
        {"template": template, "conversations": conversations, "variables": variables}
    )
    environment = {
        key: value
        for key, value in os.environ.items()
        if key in ("PATH", "PYTHONPATH", "SYSTEMROOT", "LD_LIBRARY_PATH")
    }
    out, problem = b"", ""
    try:
        child = subprocess.run(
            [sys.executable, "-m", __name__],
            input=request.encode(),
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
            env=environment | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        out, reasons = child.stdout, child.stderr.decode("utf-8", "replace").strip().splitlines()
        problem = f"failed ({reasons[-1] if reasons else f'status {child.returncode}'})"
    except subprocess.TimeoutExpired as expired:
        out, problem = expired.stdout or b"", f"did not finish within {TIMEOUT_S:.0f} s"
    rendered = [str(json.loads(line)) for line in out.split(b"\n")[:-1]]
    if not rendered:
        raise TemplateError(f"the chat template {problem}")
    return rendered


def _limit_this_process() -> None:
    try:
        import resource
    except ImportError:  # Windows: the time limit of the caller remains
        return
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_MAX_CPU_S, _MAX_CPU_S))


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
        print(json.dumps("".join(parts)), flush=True)


def main() -> None:
    """The child: a JSON request on standard input, each text as a line of JSON on standard output, a reason on standard error."""
    _limit_this_process()
    try:
        _run(json.load(sys.stdin))
    except MemoryError:
        sys.exit("it wants too much memory")
    except Exception as error:  # whatever a stranger's program raises becomes one line
        sys.exit(f"{type(error).__name__}: {str(error)[:200]}".replace("\n", " "))


if __name__ == "__main__":
    main()
