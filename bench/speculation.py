"""What speculative decoding gains where text repeats, and costs where it does not.

    python bench/speculation.py [--model FILE | --shape r1-qwen-1.5b] [--tokens 384] [--rounds 3]

The model's words are replaced by those of a text, after it has computed and sampled as always, so
that every model restates the same. `edit`: a file of code stands in the prompt, and is said again
with every tenth line changed. `list`: records that follow a form. `words`: words without sense.
With and without drafts in turn, each time as in a new process, where no step was measured.
"""

from __future__ import annotations

import argparse
import inspect
import json
import random
import statistics
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import subject

from minireason import Reasoner, load
from minireason.backends.local import LocalBackend
from minireason.engine.base import Drafter, Mask
from minireason.engine.drafting import LookupDrafter
from minireason.engine.speculation_gain import SIZES, SpeculationGain

Texts = dict[str, tuple[str, str]]


def texts() -> Texts:
    """Prompt and reply by name."""
    code = inspect.getsource(textwrap)[:1200]
    edited = [
        line.replace("self", "this") if number % 10 == 0 else line
        for number, line in enumerate(code.splitlines())
    ]
    rng = random.Random(1)
    records = "\n".join(
        f"- name: {rng.choice(subject.WORDS)}, size: {rng.randrange(1000)}, kept: yes, in use: no"
        for _ in range(200)
    )
    return {
        "edit": (f"Rename self in some lines.\n{code}", "\n".join(edited)),
        "list": ("Write two hundred records.", records),
        "words": (f"Go on: {subject.words(40)}", subject.words(2000, seed=1)),
    }


@contextmanager
def saying(backend: LocalBackend, reply: str) -> Iterator[None]:
    """Let a model say this, whatever it would have said."""
    script = backend.encoder.text(reply)
    sample = backend.context.sample

    def scripted(sampler: Any, row: int, draw: int, mask: Mask | None = None) -> int:
        sample(sampler, row, draw, mask)
        return script[draw % len(script)]

    backend.context.sample = scripted  # type: ignore[method-assign]
    yield
    backend.context.sample = sample  # type: ignore[method-assign]


def speed(
    reasoner: Reasoner, text: tuple[str, str], tokens: int, drafter: Callable[[int], Drafter] | None
) -> tuple[float, float]:
    """Tokens per second of a reply, and the share of drafted tokens that were accepted."""
    backend = reasoner.backend
    assert isinstance(backend, LocalBackend)
    backend.new_drafter = drafter
    backend.scheduler.speculation.gain = SpeculationGain()
    prompt, said = text
    with saying(backend, said):
        reply = reasoner.ask(prompt, max_tokens=tokens, effort="none", seed=1)
    assert reply.timings.tokens_per_s is not None
    usage = reply.usage
    return reply.timings.tokens_per_s, usage.accepted_tokens / max(1, usage.drafted_tokens)


def costs(reasoner: Reasoner) -> dict[int, float]:
    """What a step of each size cost in the last run, in plain ones, or what it was guessed to."""
    backend = reasoner.backend
    assert isinstance(backend, LocalBackend)
    gain = backend.scheduler.speculation.gain
    return {size: round(gain.cost(size), 2) for size in SIZES}


def measure(reasoner: Reasoner, name: str, text: tuple[str, str], arguments: Any) -> dict[str, Any]:
    """Medians of one text, without and with drafts in turn."""
    speed(reasoner, text, 8, None)  # the prompt is cached from here on
    without, drafted, shares = [], [], []
    for _ in range(arguments.rounds):
        without.append(speed(reasoner, text, arguments.tokens, None)[0])
        tokens_per_s, share = speed(reasoner, text, arguments.tokens, LookupDrafter)
        drafted.append(tokens_per_s)
        shares.append(share)
    ratio = statistics.median(b / a for a, b in zip(without, drafted, strict=True))
    row = {
        "text": name,
        "off": statistics.median(without),
        "auto": statistics.median(drafted),
        "ratio": ratio,
        "accepted": statistics.median(shares),
        "costs": costs(reasoner),
    }
    print(
        f"{name:8} {row['off']:8.1f} {row['auto']:8.1f} {ratio:7.2f} {row['accepted']:9.0%}  "
        f"{row['costs']}",
        flush=True,
    )
    return row


def main() -> None:
    parser = subject.parser_of(__doc__)
    parser.add_argument("--tokens", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", help="a text, more than once for more")
    arguments: argparse.Namespace = subject.parse(parser)
    with load(arguments.model, n_threads=arguments.threads) as reasoner:
        print(
            "tokens per second\ntext          off     auto   ratio  accepted  a step in plain ones"
        )
        rows = [
            measure(reasoner, name, text, arguments)
            for name, text in texts().items()
            if name in (arguments.only or texts())
        ]
    print(json.dumps({"threads": arguments.threads, "rows": rows}))


if __name__ == "__main__":
    main()
