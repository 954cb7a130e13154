"""The rows of `peers.py`: who runs what, and which ratio is to be reached."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import sides
import starting
import tools
from compare import Group, Row, Run, Values

DECODED_TOKENS = 128
DEEP_TOKENS = 256
"""Tokens by which a long chain is measured, if not said otherwise."""
BATCH_PROMPT_TOKENS = 64
CHAINS, LENGTHS = (1, 4, 8, 16), (256, 1024, 4096)
LIBRARIES = ("llama-cpp-python", "xllamacpp", "ik-llama-cpp-python")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the rows are made of: the file, who takes part, and what is left out.

    `cells` are pairs of chains and tokens; None takes all. Chains of at least `deep_from` tokens
    are measured by their last `deep_tokens`.
    """

    model: str
    small: bool
    threads: int
    sides: sides.Sides
    cells: tuple[tuple[int, int], ...] | None
    deep_from: int = 4096
    deep_tokens: int = DEEP_TOKENS
    tool_options: tuple[str, ...] = ()

    @property
    def tool(self) -> tools.Subject:
        return tools.Subject(self.model, self.threads, self.tool_options)


def decode(wanted: Wanted) -> Iterator[Group]:
    """One chain with parser and printing, at a short and a long context."""
    for depth in (100, 4000):
        run = functools.partial(tools.bench, wanted.tool, tokens=DECODED_TOKENS, depth=depth)
        title = f"decode at {depth:,} tokens, tokens/s"
        yield Group(
            f"decode-{depth}",
            wanted.sides.reply(depth, DECODED_TOKENS),
            flash_pair("decode", run),
            (Row(title, "decode", target=0.98),),
        )


def prefill(wanted: Wanted) -> Iterator[Group]:
    """A prompt until its first token is there."""
    for size in (512, 4096):
        run = functools.partial(tools.bench, wanted.tool, prompt=size)
        title = f"prefill of {size:,} tokens, tokens/s"
        yield Group(
            f"prefill-{size}",
            wanted.sides.reply(size, 2),
            flash_pair("prefill", run),
            (Row(title, "prefill", target=0.95),),
        )


def flash_pair(value: str, run: Callable[..., float]) -> dict[str, Run]:
    """llama-bench without and with flash attention; the better one counts."""

    def once(_seed: int, *, flash: bool) -> Values:
        return {value: run(flash=flash)}

    return {
        f"{tools.BENCH} -fa {int(flash)}": functools.partial(once, flash=flash)
        for flash in (False, True)
    }


def after(wanted: Wanted) -> Iterator[Group]:
    """A new question after ten unrelated ones, against the same in a fresh process."""
    title = "decode after ten unrelated prompts of 600 tokens, tokens/s"
    yield Group(
        "after",
        wanted.sides.reply(100, DECODED_TOKENS, unrelated=10),
        {"a fresh process": wanted.sides.reply(100, DECODED_TOKENS)},
        (Row(title, "decode", target=0.97),),
    )


def chains(wanted: Wanted) -> Iterator[Group]:
    """Chains side by side, sampled, against a tool that samples nothing."""
    cells = wanted.cells or tuple(
        (count, length) for length in LENGTHS for count in CHAINS if length < 4096 or count <= 8
    )
    for count, length in cells:
        deep = length >= wanted.deep_from
        tokens = min(length, wanted.deep_tokens) if deep else length
        prompt = max(BATCH_PROMPT_TOKENS, length - tokens) if deep else BATCH_PROMPT_TOKENS
        batch = tools.Batch(count, prompt, tokens)
        target = 0.90 if wanted.small and count == 16 else 0.95
        how = f", the last {tokens}" if deep else ""
        value = "decode" if deep else "whole"
        title = f"{count} chains of {length:,} tokens{how}, tokens/s"
        yield Group(
            f"chains-{count}x{length}",
            wanted.sides.chains(batch, deep=deep),
            {
                f"{tools.BATCHED} -fa {int(flash)}": functools.partial(
                    batched, wanted.tool, batch, flash
                )
                for flash in (False, True)
            },
            (Row(title, value, target=target),),
        )


def batched(tool: tools.Subject, batch: tools.Batch, flash: bool, _seed: int) -> Values:
    rates = tools.batched_bench(tool, batch, flash=flash)
    return {"whole": rates.whole, "decode": rates.decode}


def vote(wanted: Wanted) -> Iterator[Group]:
    """Eight long chains against the commit before, where each has tokens of its own.

    Their depth is that of the prompts: so no chain outgrows its slot while it is measured, which
    happens once in thousands of tokens.
    """
    batch = tools.Batch(8, 4096, wanted.deep_tokens)
    yield Group(
        "vote",
        wanted.sides.chains(batch, deep=True),
        {"before": wanted.sides.chains(batch, deep=True, before=True)},
        (Row("8 chains at a depth of 4,096 each, tokens/s", "decode", target=1.5),),
    )


def chat(wanted: Wanted) -> Iterator[Group]:
    """The second turn of a chat, with the history read ahead in a pause and without one."""
    for pause_s, target in ((5.0, 0.5), (0.0, 1.1)):
        how = "after a pause" if pause_s else "at once"
        yield Group(
            f"chat-{'pause' if pause_s else 'at-once'}",
            wanted.sides.chat(pause_s),
            {tools.SERVER: wanted.sides.served(wanted.tool)},
            (Row(f"second turn {how}, first token, s", "first_token_s", "lower", target),),
        )


def memory(wanted: Wanted) -> Iterator[Group]:
    """The most memory that a short question takes."""
    rows = (
        Row("peak memory, MiB", "peak_mib", "lower", 0.65, ("llama-cpp-python",)),
        Row("peak memory, MiB", "peak_mib", "lower", 1.0, ("before",)),
    )
    peers = {
        "llama-cpp-python": wanted.sides.library("llama-cpp-python", 100, 64, n_ctx=4096),
        "before": wanted.sides.reply(100, 64, before=True),
    }
    yield Group("memory", wanted.sides.reply(100, 64), peers, rows)


def overhead(wanted: Wanted) -> Iterator[Group]:
    """Our own CPU time beyond decode and sampling, in a long reply and in a short one."""
    title = "own CPU time a token at 16,000 tokens, us"
    yield Group(
        "overhead",
        wanted.sides.overhead(16_000),
        {"at 100 tokens": wanted.sides.overhead(100)},
        (Row(title, "cpu_us", "lower", 1.2),),
    )


def start(wanted: Wanted) -> Iterator[Group]:
    """From the start of a process to the first piece of the reply."""
    runs = starting.runs(wanted.model, wanted.threads)
    title = "process start to first token, s"
    rows = tuple(
        Row(title, "first_token_s", "lower", target, (name,))
        for name, target in ((starting.TEN_LINES, 1.0), (tools.COMPLETION, None))
    )
    yield Group("start", runs.pop(starting.OURS), runs, rows)


def libraries(wanted: Wanted) -> Iterator[Group]:
    """One reply beside other Python packages over llama.cpp; there is no target."""
    values: tuple[tuple[str, str, Any], ...] = (
        ("load, s", "load_s", "lower"),
        ("prefill of 512 tokens, tokens/s", "prefill", "higher"),
        ("first token after 512, s", "first_token_s", "lower"),
        ("decode at 512 tokens, tokens/s", "decode", "higher"),
        ("peak memory, MiB", "peak_mib", "lower"),
    )
    rows = tuple(
        Row(title, value, better, None, (name,))
        for name in LIBRARIES
        for title, value, better in values
    )
    peers = {name: wanted.sides.library(name, 512, DECODED_TOKENS) for name in LIBRARIES}
    yield Group("libraries", wanted.sides.reply(512, DECODED_TOKENS), peers, rows)


GROUPS: dict[str, Callable[[Wanted], Iterator[Group]]] = {
    act.__name__: act
    for act in (
        decode,
        prefill,
        after,
        chains,
        vote,
        chat,
        memory,
        overhead,
        start,
        libraries,
    )
}
