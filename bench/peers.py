"""minireason beside llama.cpp's tools and other packages over it, with the targets.

    python bench/peers.py --model FILE
    python bench/peers.py --shape r1-qwen-1.5b --only decode,prefill --repeat 3

One file, one number of threads, the same prompts, sampling and numbers of tokens, in turn; medians
of --repeat rounds, and the ratio's median and spread. Losses stay in the table. Rows: decode,
prefill, after, chains, vote, chat, memory, overhead, start, libraries; or parts of them such as
decode-100, prefill-4096, chains-8x256, chat-pause. `vote` and `memory` compare
with a commit before: `--before COMMIT` checks it out beside this one and runs it with the same
llama-cpp-python. The last line is one JSON document.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import compare
import sides
import subject
import tools
from peer_rows import DEEP_TOKENS, GROUPS, LIBRARIES, Wanted

from minireason.errors import MinireasonError


def names(text: str) -> list[str]:
    """Names of rows out of a list with commas."""
    chosen = text.split(",")
    unknown = [name for name in chosen if name.split("-")[0] not in GROUPS]
    if unknown:
        known = ", ".join(GROUPS)
        raise argparse.ArgumentTypeError(f"there is no row {unknown[0]!r}; there are {known}")
    return chosen


def cells(text: str) -> tuple[tuple[int, int], ...]:
    """Pairs of chains and tokens out of a list such as 4x256,8x1024."""
    try:
        pairs = [part.split("x") for part in text.split(",")]
        return tuple((int(chains), int(length)) for chains, length in pairs)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list such as 4x256,8x1024") from None


def parser() -> argparse.ArgumentParser:
    made = subject.parser_of(__doc__)
    made.add_argument("--only", type=names, default=list(GROUPS), help="rows to measure")
    made.add_argument("--repeat", type=int, default=3, help="rounds")
    made.add_argument("--before", help="a commit, or the interpreter of an environment with it")
    made.add_argument("--cells", type=cells, help="of `chains`: 4x256,8x1024; all if not given")
    made.add_argument(
        "--deep-from",
        type=int,
        default=4096,
        help="chains of so many tokens are measured by their last ones",
    )
    made.add_argument(
        "--deep-tokens", type=int, default=DEEP_TOKENS, help="how many of those, and of `vote`"
    )
    made.add_argument(
        "--no-repack", action="store_true", help="our side with the weights as the file has them"
    )
    made.add_argument(
        "--install", action="store_true", help="install the other packages where they have a wheel"
    )
    return made


def wanted_of(arguments: argparse.Namespace) -> Wanted:
    """Who runs what; the file is the one that never ends a reply."""
    model = str(subject.endless(Path(arguments.model)))
    made = sides.Sides(
        model,
        arguments.threads,
        ours=sides.Python(sys.executable, sides.environment_of("home")),
        before=sides.before_of(arguments.before) if arguments.before else None,
        libraries=sides.libraries_here(),
        load={"repack": False} if arguments.no_repack else {},
    )
    os.environ |= made.ours.environment  # for `minireason ask`, which knows the file then
    small = Path(model).stat().st_size < 200 * 2**20
    return Wanted(
        model,
        small,
        arguments.threads,
        made,
        arguments.cells,
        arguments.deep_from,
        arguments.deep_tokens,
    )


def versions() -> dict[str, str]:
    """What is compared."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    known = {
        "minireason": f"{version('minireason')} {described.stdout.strip()}",
        "llama-cpp-python": version("llama-cpp-python"),
        "llama.cpp's tools": tools.version(),
        "Python": platform.python_version(),
        "machine": machine(),
    }
    for name, python in sides.libraries_here().items():
        if name not in known:
            known[name] = version_in(python, name)
    return known


def version_in(python: sides.Python, name: str) -> str:
    code = f"from importlib.metadata import version; print(version({name!r}))"
    done = subprocess.run(
        [python.executable, "-c", code], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def machine() -> str:
    """The processor's name and the number of its cores that are ours."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    name = next((line.split(":")[1].strip() for line in lines if "model name" in line), "")
    return name or platform.processor() or platform.machine()


def warm_up(wanted: Wanted) -> None:
    """Read the file into the page cache, and try it as a new file is tried, on each of our sides.

    What is faster here is measured, as a chat does, where it is not known. Raises ToolFailed.
    """
    wanted.sides.reply(100, 8)(0)
    said = doctor(wanted)
    if not any(Path(wanted.model).stem in text for text in said):
        said = doctor(wanted, "--measure", wanted.model)
    print("\n".join(said))
    if wanted.sides.before:
        wanted.sides.reply(100, 8, before=True)(0)


def doctor(wanted: Wanted, *options: str) -> list[str]:
    """What our side says of what was measured here."""
    ours = wanted.sides.ours
    command = [ours.executable, "-m", "minireason", "doctor", *options]
    environment = {**os.environ, **ours.environment}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    return [text.strip() for text in done.stdout.splitlines() if "measur" in text]


def main() -> None:
    arguments = subject.parse(parser())
    if arguments.install:
        for name in LIBRARIES[1:]:
            attempt(name)
    print(json.dumps(versions(), indent=1, ensure_ascii=False))
    report: list[dict[str, Any]] = []
    try:
        wanted = wanted_of(arguments)
        warm_up(wanted)
        print(
            f"\n{Path(wanted.model).name}, {arguments.threads} threads, {arguments.repeat} rounds"
        )
        print(f"\n{compare.table_head()}", flush=True)
        for name in arguments.only:
            for group in chosen(name, wanted):
                report += compare.reported(group, arguments.repeat)
    except (tools.ToolFailed, subprocess.CalledProcessError, MinireasonError) as error:
        sys.exit(str(error))
    named = {name: getattr(arguments, name) for name in ("model", "threads", "repeat", "before")}
    print(json.dumps({**named, "versions": versions(), "groups": report}))


def chosen(name: str, wanted: Wanted) -> Iterator[compare.Group]:
    """The groups of a row, or the one of this name."""
    row = name.split("-")[0]
    return (group for group in GROUPS[row](wanted) if name in (row, group.name))


def attempt(name: str) -> None:
    try:
        sides.install(name)
    except tools.ToolFailed as error:
        print(error, file=sys.stderr)


if __name__ == "__main__":
    main()
