"""minireason on a GPU: is the text the CPU's, is the memory the planned one, is it as fast.

    python bench/gpu.py [--yes] [--model FILE | --shape r1-qwen-1.5b]

Takes the build of llama-cpp-python beside it if that can use a GPU, else one in an environment of
its own, which is compiled after a question (`--yes` answers it) for CUDA, Metal or Vulkan. Greedy
text has to equal the CPU's on tiny and SmolLM2, or to differ first where two tokens are nearly as
likely; the plan's memory has to be within 10% of what the device says; decode, prefill and eight
chains are compared with llama.cpp's tools of the same build (`--tools FOLDER`, else the PATH).
Where there is no GPU it says so and ends with 0; a check that fails ends it with 1. The last line
is one JSON document.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import compare
import peer_rows
import sides
import subject
import tools

ROOT = Path(__file__).parents[1]
FLAGS = {
    "cuda": "-DGGML_CUDA=on",
    "metal": "-DGGML_METAL=on",
    "vulkan": "-DGGML_VULKAN=on",
}
VRAM_TOLERANCE = 0.10
ALL_LAYERS = 99
BATCH = (8, 256)


def kind_here(
    platform: str = sys.platform,
    which: Callable[[str], str | None] = shutil.which,
    exists: Callable[[str], bool] = os.path.exists,
) -> str | None:
    """The kind of build that this machine's GPU wants; None where there is no GPU."""
    if platform == "darwin":
        return "metal"
    if exists("/dev/nvidia0") or exists("/dev/dxg") or which("nvidia-smi"):
        return "cuda"
    if exists("/dev/dri/renderD128"):
        return "vulkan"
    return None


def has_gpu(python: sides.Python) -> bool:
    """Whether the llama.cpp of an environment can use a GPU of this machine."""
    code = "from minireason.backends.loading import machine; print(len(machine().gpus))"
    done = subprocess.run([python.executable, "-c", code], capture_output=True, text=True)
    return done.returncode == 0 and done.stdout.strip() not in ("", "0")


def commands(kind: str, folder: Path) -> list[list[str]]:
    """What makes an environment with a build for a GPU."""
    python = str(folder / "bin" / "python")
    pip = [python, "-m", "pip", "install"]
    library = f"llama-cpp-python=={version('llama-cpp-python')}"
    return [
        [sys.executable, "-m", "venv", str(folder)],
        ["env", f"CMAKE_ARGS={FLAGS[kind]}", *pip, "--no-binary=llama-cpp-python", library],
        [*pip, "-e", f"{ROOT}[test]"],
    ]


def build(kind: str, *, yes: bool) -> sides.Python:
    """Compile llama-cpp-python for a GPU in an environment of its own, once asked."""
    folder = subject.folder() / "venvs" / f"gpu-{kind}"
    made = sides.Python(str(folder / "bin" / "python"), sides.environment_of(f"home-{kind}"))
    if Path(made.executable).exists() and has_gpu(made):
        return made
    steps = commands(kind, folder)
    print("This compiles llama.cpp, which takes some minutes:")
    print("\n".join(f"    {' '.join(step)}" for step in steps))
    if not yes and not agreed():
        sys.exit("Nothing was built, so nothing was measured.")
    for step in steps:
        if subprocess.run(step, check=False).returncode:
            sys.exit(f"This failed: {' '.join(step)}")
    if not has_gpu(made):
        sys.exit(f"The build for {kind} finds no GPU; is its driver installed?")
    return made


def agreed() -> bool:
    """Whether whoever is there says yes; nobody says no."""
    if not sys.stdin.isatty():
        print("Say --yes where nobody can be asked.")
        return False
    return input("Go on? [y/N] ").strip().lower() in ("y", "yes")


def same_text(python: sides.Python) -> Iterator[dict[str, Any]]:
    """Compare greedy text on the GPU with the CPU's, for each model."""
    for name, model in (("tiny", "tiny"), ("SmolLM2", str(subject.smollm2_file()))):
        layers = {"gpu": ALL_LAYERS, "cpu": 0}
        ids: Any = {
            where: sides.child(python, "on_gpu.py", {"job": "greedy", "model": model, "layers": n})
            for where, n in layers.items()
        }
        job = {"job": "gap", "model": model, "cpu": ids["cpu"]["ids"], "gpu": ids["gpu"]["ids"]}
        gap: Any = sides.child(python, "on_gpu.py", job)
        print(f"{name}: {gap['says']}", flush=True)
        yield {"check": "text", "model": name, **gap}


def same_memory(python: sides.Python, model: str) -> Iterator[dict[str, Any]]:
    """Compare the plan's memory on the device with what is gone there once the context is full."""
    used: Any = sides.child(python, "on_gpu.py", {"job": "memory", "model": model})
    error = used["planned"] / max(1, used["used"]) - 1
    planned, real = (used[name] / 2**20 for name in ("planned", "used"))
    print(f"memory: planned {planned:,.0f} MiB, used {real:,.0f} MiB, {error:+.1%}", flush=True)
    yield {"check": "memory", **used, "ok": abs(error) <= VRAM_TOLERANCE}


def speed(python: sides.Python, arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Compare decode, prefill and a batch with llama.cpp's tools of the same build."""
    model = str(subject.endless(Path(arguments.model)))
    ours = sides.Sides(model, arguments.threads, python, None, {}, load={"n_gpu_layers": -1})
    wanted = peer_rows.Wanted(
        model, False, arguments.threads, ours, (BATCH,), tool_options=("-ngl", str(ALL_LAYERS))
    )
    print(f"\n{compare.table_head()}", flush=True)
    rows = (peer_rows.decode, peer_rows.prefill, peer_rows.chains)
    for group in chain.from_iterable(row(wanted) for row in rows):
        yield from compare.reported(group, arguments.repeat)


def main() -> None:
    parser = subject.parser_of(__doc__)
    parser.add_argument("--yes", action="store_true", help="compile without asking")
    parser.add_argument("--build", choices=sorted(FLAGS), help="the kind of build; else by the GPU")
    parser.add_argument("--tools", help="folder with llama.cpp's tools of the same build")
    parser.add_argument("--repeat", type=int, default=3, help="rounds")
    arguments = subject.parse(parser)
    here = sides.Python(sys.executable, sides.environment_of("home-gpu"))
    kind = arguments.build or kind_here()
    if not has_gpu(here) and kind is None:
        print("There is no GPU on this machine, so nothing was measured.")
        return
    python = here if has_gpu(here) else build(str(kind), yes=arguments.yes)
    if arguments.tools:
        os.environ["PATH"] = os.pathsep.join([arguments.tools, os.environ["PATH"]])
    try:
        report = [*same_text(python), *same_memory(python, arguments.model)]
        report += speed(python, arguments)
    except tools.ToolFailed as error:
        sys.exit(str(error))
    print(json.dumps({"build": kind, "model": arguments.model, "report": report}))
    sys.exit(not all(entry.get("ok", True) for entry in report))


if __name__ == "__main__":
    main()
