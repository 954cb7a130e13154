"""A benchmark as it runs and what it measured: progress on standard error, tables after it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.progress import BarColumn, Progress, TextColumn

from minireason.benchmark.report import Chains, Machine, Memory, Report
from minireason.benchmark.run import Run
from minireason.cli.terminal import notes, output, table
from minireason.cli.terminal.table import Columns
from minireason.cli.terminal.wrapping import print_wrapped

DRAW_EVERY_S = 0.25
"""Between two drawings of the bar: more often would take from what is measured."""

DISTURBING_CPUS = 0.15
"""From so many CPUs on that others keep busy it is said."""

_SOON_S = 5


class Meter:
    """How far a benchmark is: a bar with the time left on a terminal, else a line a measurement.

    `quiet` leaves the lines out.
    """

    def __init__(self, *, quiet: bool) -> None:
        console = output.console(errors=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            transient=True,
            auto_refresh=False,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None, left="")
        self._quiet = quiet or console.is_terminal
        self._drawn, self._doing = 0.0, ""

    def __enter__(self) -> Meter:
        self._bar.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._bar.stop()

    def show(self, run: Run) -> None:
        """Show where this run is; cheap enough for after every step of the model."""
        if run.doing != self._doing:
            self._doing = run.doing
            if not self._quiet:
                notes.note(f"{run.doing} ...")
        now = time.monotonic()
        if self._bar.disable or now - self._drawn < DRAW_EVERY_S:
            return
        self._drawn = now
        left = run.left_s
        total = None if left is None else run.spent_s + left
        self._bar.update(
            self._task,
            description=run.doing,
            completed=run.spent_s,
            total=total,
            left=_time_left(left),
        )
        self._bar.refresh()


def _time_left(seconds: float | None) -> str:
    """About how long it still takes, in words."""
    if seconds is None:
        return ""
    if seconds < _SOON_S:
        return "a few seconds left"
    if seconds < 100:
        return f"about {seconds:.0f} s left"
    return f"about {seconds / 60:.0f} min left"


def show(report: Report, *, errors: bool = False) -> None:
    """Print the report on standard output, or on standard error for `errors`."""
    print_wrapped(_how(report.model, report.machine), errors=errors)
    print_wrapped("", errors=errors)
    rows = [*_of_prefill(report), *_of_decode(report), *_of_chains(report)]
    if rows:
        headers = ["", "tokens/s", "ms a token", "GB/s", "of memory", "measured on"]
        columns = Columns(left=(0, 5), drop=(5, 3, 2))
        table.print_table(headers, rows, columns, errors=errors)
        print_wrapped("", errors=errors)
    facts = _facts(report)
    widest = max(len(name) for name, _ in facts)
    for name, fact in facts:
        print_wrapped(f"{name:{widest}}  {fact}", errors=errors, indent=" " * (widest + 2))
    for sentence in report.left_out:
        notes.note(f"Left out: {sentence}")
    if report.other_cpus and report.other_cpus > DISTURBING_CPUS:
        notes.note(
            f"Other programs kept {report.other_cpus:.1f} CPUs busy meanwhile, so the numbers are "
            "lower than on a quiet machine."
        )
    if report.thought:
        print_wrapped("", errors=errors)
        print_wrapped(sentence_of(report), errors=errors)


def sentence_of(report: Report) -> str:
    """What all of it comes to; "" before it can be said."""
    thought = report.thought
    if not thought:
        return ""
    return f"A thought of {thought.tokens:,} tokens takes about {_seconds(thought.seconds)} here."


def _how(model: str, machine: Machine) -> str:
    parts = [model, f"{machine.n_threads} thread{'s' if machine.n_threads > 1 else ''}"]
    if machine.n_gpu_layers:
        parts.append(f"{machine.n_gpu_layers} layers on the GPU")
    parts.append(f"flash attention {'on' if machine.flash_attention else 'off'}")
    parts.append(f"micro-batch {machine.n_ubatch}")
    if machine.tuned:
        parts[-1] += " (both measured here)"
    parts.append(f"KV cache {machine.kv_type}")
    if machine.repack:
        parts.append("weights rearranged")
    parts.append(f"llama-cpp-python {machine.llama_cpp_python}")
    return " · ".join(parts)


def _of_prefill(report: Report) -> list[list[str]]:
    return [
        _row(f"prefill of {row.prompt_tokens:,}", row.tokens_per_s, row.prompt_tokens)
        for row in report.prefill
    ]


def _of_decode(report: Report) -> list[list[str]]:
    return [
        _row(
            f"decode at {row.context_tokens:,}",
            row.tokens_per_s,
            row.tokens,
            f"{row.read_bytes_per_s / 1e9:.1f}" if row.read_bytes_per_s else "",
            f"{row.bandwidth_share:.0%}" if row.bandwidth_share else "",
        )
        for row in report.decode
    ]


def _of_chains(report: Report) -> list[list[str]]:
    return [
        _row(f"{row.chains} chains at {row.context_tokens:,}", row.tokens_per_s, row.tokens)
        for row in report.chains
        if row.chains > 1
    ]


def _row(what: str, rate: float, tokens: int, read: str = "", share: str = "") -> list[str]:
    """One row of the table; `rate` in tokens per second, measured on so many tokens."""
    return [what, _rate(rate), f"{1000 / rate:.2f}", read, share, f"{tokens:,} tokens"]


def _facts(report: Report) -> list[tuple[str, str]]:
    trial = ", with the trial run of a new file" if report.trial_run else ""
    facts = [("load", _seconds(report.load_s) + trial)]
    reply = report.reply
    if reply and reply.first_token_s is not None:
        asked = f"after a question of {reply.prompt_tokens} tokens"
        facts.append(("first token", f"{_seconds(reply.first_token_s)} {asked}"))
    if reply and reply.first_answer_s is not None and reply.thinking_tokens:
        thought = f"after {reply.thinking_tokens} tokens of thinking"
        facts.append(("first answer token", f"{_seconds(reply.first_answer_s)} {thought}"))
    memory = report.memory
    if memory:
        facts.append(("memory", _of_memory(memory, report.chains)))
    if report.machine.bandwidth_bytes_per_s:
        speed = f"read at {report.machine.bandwidth_bytes_per_s / 1e9:.1f} GB/s by all cores"
        facts.append(("memory's speed", speed))
    facts.append(("measured for", _seconds(report.seconds)))
    return facts


def _of_memory(memory: Memory, chains: Sequence[Chains]) -> str:
    parts = []
    if memory.peak_alone_bytes:
        parts.append(f"{_size(memory.peak_alone_bytes)} with one chain")
    most = max((row.chains for row in chains), default=1)
    if memory.peak_bytes and most > 1:
        parts.append(f"{_size(memory.peak_bytes)} with {most}")
    context = f"all {memory.planned_context_tokens:,} tokens of context"
    parts.append(f"planned {_size(memory.planned_bytes)} for one with {context}")
    return "; ".join(parts)


def _rate(tokens_per_s: float) -> str:
    return f"{tokens_per_s:,.1f}"


def _seconds(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds >= 120:
        return f"{seconds / 60:,.1f} min"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def _size(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB" if size < 2**30 else f"{size / 2**30:,.1f} GiB"
