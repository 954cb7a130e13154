"""What a benchmark measured: plain values, all of it in the JSON of `minireason bench`."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it was measured, and how the model was loaded."""

    minireason: str
    """Our version."""

    llama_cpp_python: str
    """That of llama-cpp-python."""

    cores: int
    """Physical cores that may be used."""

    n_threads: int
    """Threads on the CPU."""

    n_gpu_layers: int
    """Layers on the GPU; 0 on the CPU."""

    kv_type: str
    """How the KV cache is stored."""

    flash_attention: bool
    """Whether attention is computed in blocks."""

    repack: bool
    """Whether the weights are rearranged for the CPU."""

    n_ubatch: int
    """Tokens of a prompt that are computed at once (micro-batch)."""

    tuned: bool = False
    """Whether these were chosen by what was measured here, and not by rule."""

    bandwidth_bytes_per_s: float | None = None
    """How fast the cores together read memory, measured after all else; None before."""


@dataclass(frozen=True, slots=True)
class FirstReply:
    """The first reply after loading: a short question, and a short thought."""

    prompt_tokens: int
    """Tokens of the prompt."""

    first_token_s: float | None
    """From the question to the first text; None if none came."""

    thinking_tokens: int
    """Tokens of the thought before the answer; 0 where the model does not think."""

    first_answer_s: float | None
    """From the question to the first text of the answer; None if none came."""


@dataclass(frozen=True, slots=True)
class Prefill:
    """Reading a prompt of which nothing was cached."""

    prompt_tokens: int
    """Tokens that were read."""

    seconds: float
    """How long it took."""

    tokens_per_s: float
    """Tokens read per second."""


@dataclass(frozen=True, slots=True)
class Decode:
    """One sequence that generates after a context of some length."""

    context_tokens: int
    """Tokens of context before the first that was generated."""

    tokens: int
    """Tokens that the numbers stand on."""

    seconds: float
    """How long these took."""

    tokens_per_s: float
    """Tokens generated per second."""

    read_bytes_per_s: float | None
    """Weights, keys and values read per second; None for mixtures of experts."""

    bandwidth_share: float | None = None
    """That as a share of the memory's bandwidth; None on a GPU too."""


@dataclass(frozen=True, slots=True)
class Chains:
    """Sequences side by side after a common prompt, as in a vote."""

    chains: int
    """How many."""

    context_tokens: int
    """Tokens of context of each before the first that was generated."""

    tokens: int
    """Tokens of all chains that the numbers stand on."""

    seconds: float
    """How long these took."""

    tokens_per_s: float
    """Tokens of all chains generated per second."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What the process took, beside what was planned."""

    peak_alone_bytes: int | None
    """The most that the process had before chains ran side by side; None if nobody can say."""

    peak_bytes: int | None
    """The most that it had in all."""

    planned_bytes: int
    """What the plan counts for one chain with the whole context in use."""

    planned_context_tokens: int
    """That context."""

    weights_bytes: int
    """The weights alone."""


@dataclass(frozen=True, slots=True)
class Thought:
    """How long a thought takes here, worked out from the decode rows."""

    tokens: int
    """Its length."""

    seconds: float
    """How long it takes, each token at the context that it then has."""


@dataclass(frozen=True, slots=True)
class Report:
    """All of it; what has not been measured yet is None or empty."""

    model: str
    """The label of the model."""

    machine: Machine
    """Where, and how."""

    load_s: float
    """Loading, from the name of the model until it can be asked."""

    trial_run: bool
    """Whether that includes the trial run of a file that was never used before."""

    reply: FirstReply | None = None
    """Latency."""

    prefill: tuple[Prefill, ...] = ()
    """By length of the prompt."""

    decode: tuple[Decode, ...] = ()
    """By length of the context."""

    chains: tuple[Chains, ...] = ()
    """By number of chains."""

    memory: Memory | None = None
    """At the end."""

    thought: Thought | None = None
    """The sentence that all of this comes to."""

    left_out: tuple[str, ...] = ()
    """What was not measured and why, a sentence each."""

    seconds: float = 0.0
    """How long the measurements took in all, loading left out."""

    other_cpus: float | None = None
    """How many CPUs other programs kept busy meanwhile; None where that is not known."""


def beside_bandwidth(report: Report, bytes_per_s: float | None) -> Report:
    """The report with the memory's bandwidth, and what decoding reads as a share of it."""
    decode = report.decode
    if bytes_per_s and not report.machine.n_gpu_layers:
        decode = tuple(_beside(row, bytes_per_s) for row in decode)
    machine = replace(report.machine, bandwidth_bytes_per_s=bytes_per_s)
    return replace(report, machine=machine, decode=decode)


def _beside(row: Decode, bytes_per_s: float) -> Decode:
    if row.read_bytes_per_s is None:
        return row
    return replace(row, bandwidth_share=row.read_bytes_per_s / bytes_per_s)
