"""What the doctor says of what was measured to be faster here, and how it measures again."""

from __future__ import annotations

from collections import Counter

from minireason.cli.finding import Finding
from minireason.errors import MinireasonError
from minireason.host import machine_file
from minireason.models import tuned
from minireason.models.tuned import Entry, Place

LONG_S = 10.0
"""What measuring may take where the user asks for it."""

_AGAIN = "minireason doctor --measure MODEL"


def measure(model: str) -> list[Finding]:
    """Measure what is faster for a model, whatever is known of it."""
    try:
        from minireason.reasoner import load

        # by rule, so that what was measured before does not decide what is compared
        with load(model, reproducible=True) as reasoner:
            return _measured(reasoner.backend, model)
    except MinireasonError as error:
        return [Finding("measuring", str(error), f"mend that, then {_AGAIN}")]


def _measured(backend: object, model: str) -> list[Finding]:
    from minireason.backends.local import LocalBackend

    tuner = backend.tuner if isinstance(backend, LocalBackend) else None
    if not isinstance(backend, LocalBackend) or tuner is None or not tuner.possible:
        return [Finding("measuring", f"there is nothing to choose for {model} here")]
    outcome = tuner.run(backend.model, most_s=LONG_S)
    if outcome.entry:
        return []  # it is among the findings
    again = f"minireason doctor --measure {model}, when nothing else runs"
    return [Finding("measuring", f"nothing is kept: {outcome.problem}", again)]


def findings() -> list[Finding]:
    """What is known of this machine, how much of others, and what is wrong with the file."""
    said = []
    if problem := tuned.problem():
        path = machine_file.path()
        said.append(Finding("measured here", f"{path} {problem}; that is ignored"))
    try:
        from minireason.backends import loading

        place = loading.place(loading.machine())
    except MinireasonError:  # said elsewhere
        return said
    entries = tuned.load()
    said += [Finding("measured here", _entry(entry)) for entry in entries if entry.place == place]
    if not any(entry.place == place for entry in entries):
        how = f"a chat or minireason bench does it, or {_AGAIN}"
        said.append(Finding("measured here", f"nothing yet; {how}"))
    if others := _others(entries, place):
        said.append(Finding("measured", f"{others}; not used here"))
    return said


def _entry(entry: Entry) -> str:
    """What was measured, in words."""
    result, costs = entry.tuned, entry.tuned.step_costs
    flash = "on" if result.flash_attention else "off"
    threads = "1 thread" if result.n_threads == 1 else f"{result.n_threads} threads"
    batch = costs.sizes[-1]
    return (
        f"{entry.model}, KV cache {entry.kv_type}: flash attention {flash}, {threads}, "
        f"micro-batch {result.n_ubatch}, weights {_weights(entry)}; a step takes "
        f"{result.step_s * 1000:.1f} ms, one for {batch} replies {costs.of(batch):.1f} times as "
        f"long; {result.date}, again by {_AGAIN.replace('MODEL', entry.model)}"
    )


def _weights(entry: Entry) -> str:
    return "rearranged" if entry.tuned.repack else "as in the file"


def _others(entries: list[Entry], place: Place) -> str:
    """How much is kept of other machines and builds."""
    counts = Counter(
        "on another machine" if _differs(entry.place, place) else "with another llama.cpp"
        for entry in entries
        if entry.place != place
    )
    return ", ".join(f"{count} {where}" for where, count in sorted(counts.items()))


def _differs(there: Place, here: Place) -> bool:
    return (there.cpu, there.cores) != (here.cpu, here.cores)
