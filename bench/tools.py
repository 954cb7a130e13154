"""llama.cpp's own tools, where they are on the PATH; CONTRIBUTING.md says how to build them."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

BENCH, BATCHED, COMPLETION, SERVER = (
    "llama-bench",
    "llama-batched-bench",
    "llama-completion",
    "llama-server",
)
PADDING_TOKENS = 256
"""A stream of the KV cache is rounded up to a multiple of this."""


class ToolFailed(Exception):
    """A tool that is not there, crashed or printed something else than was asked for."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a tool runs on; `options` are further ones for all of them, such as those for a GPU."""

    model: str
    threads: int
    options: tuple[str, ...] = ()

    @property
    def arguments(self) -> list[str]:
        """The options that all tools have in common."""
        return ["-m", self.model, "-t", str(self.threads), *self.options]


def version() -> str:
    """The build of the tools, in one line."""
    if not shutil.which(SERVER):
        return f"{SERVER} is not on the PATH"
    done = subprocess.run([SERVER, "--version"], capture_output=True, text=True, check=False)
    lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    return "; ".join(lines[-2:])


def output_of(command: list[str]) -> str:
    """What a tool prints on standard output; raises ToolFailed."""
    if not shutil.which(command[0]):
        raise ToolFailed(f"{command[0]} is not on the PATH; CONTRIBUTING.md says how to build it")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolFailed(f"{command[0]} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def json_lines(text: str) -> list[dict[str, Any]]:
    """The JSON objects among the lines of a tool's output; raises ToolFailed if there are none."""
    objects = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    if not objects:
        raise ToolFailed(f"no line of JSON in {text[-500:]!r}")
    return objects


def bench(
    subject: Subject, *, prompt: int = 0, tokens: int = 0, depth: int = 0, flash: bool
) -> float:
    """Tokens per second of llama-bench: of a prompt, or of decoding at a depth."""
    sizes = {"-p": prompt, "-n": tokens, "-d": depth, "-fa": int(flash), "-r": 1}
    command = [BENCH, *subject.arguments, *flags(sizes), "-o", "jsonl"]
    if prompt > 1024:
        command.append("--no-warmup")  # which would read the whole prompt once more
    return rate(output_of(command))


def rate(text: str) -> float:
    """Tokens per second in llama-bench's JSON lines, of which there is one for each test."""
    return float(json_lines(text)[-1]["avg_ts"])


@dataclass(frozen=True, slots=True)
class Batch:
    """Chains side by side: how many, of how many tokens each, after a prompt that they share."""

    chains: int
    prompt: int
    tokens: int

    @property
    def n_ctx(self) -> int:
        """The tokens of a KV cache with a stream for each chain."""
        each = self.prompt + self.tokens
        return self.chains * (-(-each // PADDING_TOKENS) * PADDING_TOKENS)


@dataclass(frozen=True, slots=True)
class BatchRates:
    """Tokens per second that a batch generates: in the time of all, and in that of decoding."""

    whole: float
    decode: float


def batched_bench(subject: Subject, batch: Batch, *, flash: bool) -> BatchRates:
    """Run llama-batched-bench, which decodes random tokens and samples nothing."""
    sizes = {
        "-c": batch.n_ctx,
        "-npp": batch.prompt,
        "-ntg": batch.tokens,
        "-npl": batch.chains,
        "-tb": subject.threads,
        "-fa": "on" if flash else "off",
    }
    command = [BATCHED, *subject.arguments, *flags(sizes), "-pps", "--output-format", "jsonl"]
    return batch_rates(output_of(command), batch)


def batch_rates(text: str, batch: Batch) -> BatchRates:
    """The rates in llama-batched-bench's JSON line."""
    line = json_lines(text)[-1]
    if (line["pl"], line["tg"]) != (batch.chains, batch.tokens):
        raise ToolFailed(f"{BATCHED} ran another batch than {batch}: {line}")
    generated = batch.chains * batch.tokens
    return BatchRates(generated / float(line["t"]), generated / float(line["t_tg"]))


def flags(sizes: dict[str, Any]) -> list[str]:
    """Options with their values as words of a command line."""
    return [str(part) for pair in sizes.items() for part in pair]
