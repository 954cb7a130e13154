"""Another library in a process of its own: `python bench/others.py JOB`, JSON each way.

It runs in the environment of that library, so it imports nothing of ours but where AMX has to be
left out. All get the same token ids, sampling and number of tokens.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

Job = dict[str, Any]


def rates(job: Job, began: float, times: Sequence[float], tokens: int) -> dict[str, float]:
    """The rates of a reply of so many tokens, whose pieces came at these times."""
    if tokens < job["tokens"]:
        sys.exit(f"the reply ended after {tokens} of {job['tokens']} tokens")
    return {
        "first_token_s": times[0] - began,
        "prefill": len(job["ids"]) / (times[0] - began),
        "decode": (tokens - 1) / (times[-1] - times[0]),
    }


def llama_cpp_python(job: Job) -> dict[str, float]:
    """The class Llama; `no_amx` leaves out the weights for AMX, with which it can crash."""
    from llama_cpp import Llama

    if job["no_amx"]:
        from minireason.engine.devices import leave_out_amx

        leave_out_amx()
    started = time.perf_counter()
    threads = {"n_threads": job["threads"], "n_threads_batch": job["threads"]}
    model = Llama(job["model"], n_ctx=job["n_ctx"], verbose=False, **threads)
    load_s = time.perf_counter() - started
    wanted = {"temp": job["temperature"], "top_p": job["top_p"], "top_k": job["top_k"]}
    model.set_seed(job["seed"])

    began, times = time.perf_counter(), list[float]()
    for token in model.generate(job["ids"], min_p=0.0, **wanted):
        times.append(time.perf_counter())
        shown(model.detokenize([token]).decode("utf-8", "replace"))
        if len(times) == job["tokens"]:
            break
    return {"load_s": load_s, **rates(job, began, times, len(times))}


def shown(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)


def ik_llama_cpp_python(job: Job) -> dict[str, float]:
    """The class IkLlama, which tells nothing before the end: so it runs once for the first token.

    It has no seed.
    """
    from ik_llama_cpp import IkLlama

    started = time.perf_counter()
    model = IkLlama(job["model"], n_ctx=job["n_ctx"], n_threads=job["threads"], verbose=False)
    load_s = time.perf_counter() - started
    wanted = {name: job[name] for name in ("temperature", "top_p", "top_k")}

    def seconds(tokens: int) -> float:
        began = time.perf_counter()
        written = model.generate(job["ids"], max_tokens=tokens, **wanted)
        if len(written) < tokens:
            sys.exit(f"the reply ended after {len(written)} of {tokens} tokens")
        return time.perf_counter() - began

    first, whole = seconds(1), seconds(job["tokens"])
    # generate() decodes the last token too, so one token costs a step more than a first token does
    step = (whole - first) / (job["tokens"] - 1)
    return {
        "load_s": load_s,
        "first_token_s": first - step,
        "prefill": len(job["ids"]) / (first - step),
        "decode": 1 / step,
    }


def xllamacpp(job: Job) -> dict[str, float]:
    """The class Server, asked in this process."""
    import xllamacpp as library

    params = library.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel = job["model"], job["n_ctx"], 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = job["threads"]
    params.verbosity = 0
    started = time.perf_counter()
    server = library.Server(params)
    load_s = time.perf_counter() - started
    request = {name: job[name] for name in ("temperature", "top_p", "top_k", "seed")}
    request |= {"prompt": job["ids"], "n_predict": job["tokens"], "stream": True, "min_p": 0.0}
    pieces: list[tuple[float, Any]] = []

    def on_piece(piece: Any) -> bool:
        pieces.append((time.perf_counter(), piece))
        return False

    began = time.perf_counter()
    server.handle_completions(request, on_piece)
    *parts, (_, last) = pieces
    tokens = last["usage"]["completion_tokens"]
    return {"load_s": load_s, **rates(job, began, [at for at, _ in parts], tokens)}


SIDES: dict[str, Callable[[Job], dict[str, float]]] = {
    "llama-cpp-python": llama_cpp_python,
    "ik-llama-cpp-python": ik_llama_cpp_python,
    "xllamacpp": xllamacpp,
}


def main() -> None:
    job = json.loads(sys.argv[1])
    result = SIDES[job["side"]](job)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print("\n" + json.dumps({**result, "peak_mib": peak_mib}), flush=True)


if __name__ == "__main__":
    main()
