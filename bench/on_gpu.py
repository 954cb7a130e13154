"""What `gpu.py` runs where the build is: `python bench/on_gpu.py JOB`, JSON each way."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import ours

from minireason import load
from minireason.engine import devices

Job = dict[str, Any]
TOKENS = 200
NEAR_TIE = 0.25
"""Logits that differ by less may change places between two kernels."""
FULL_N_CTX, LEFT_TOKENS = 4096, 24


def greedy(job: Job) -> Job:
    """The ids of a prompt and of its greedy reply, with so many layers on the GPU."""
    with load(job["model"], n_gpu_layers=job["layers"], n_threads=4) as reasoner:
        settings: Any = {"temperature": 0, "max_tokens": TOKENS, "loop_check": False}
        with reasoner.stream("Tell me how to make bread, in five steps.", **settings) as stream:
            for _ in stream:
                pass
            return {"ids": ours.ids_of(stream)}


def gap(job: Job) -> Job:
    """Where two replies differ first, and how far the two tokens are apart on the CPU."""
    pairs = enumerate(zip(job["cpu"], job["gpu"], strict=False))
    at = next((index for index, (cpu, gpu) in pairs if cpu != gpu), None)
    if at is None:
        return {"ok": True, "says": "the same text as on the CPU"}
    logits = logits_after(job["model"], job["cpu"][:at])
    apart = float(logits[job["cpu"][at]] - logits[job["gpu"][at]])
    ok = abs(apart) < NEAR_TIE
    what = "a near-tie" if ok else "no near-tie"
    return {"ok": ok, "says": f"token {at} differs, {what}: its logits are {apart:.3f} apart"}


def logits_after(model: str, ids: list[int]) -> Any:
    """The logits of the CPU after these tokens, from the library itself."""
    from llama_cpp import Llama

    from minireason.models import store

    devices.leave_out_amx()
    path = str(store.find(model).path)
    peer = Llama(path, n_ctx=len(ids) + 8, n_gpu_layers=0, logits_all=True, verbose=False)
    peer.eval(ids)
    return peer.scores[len(ids) - 1]


def memory(job: Job) -> Job:
    """Bytes of the device: planned, and gone when a context is full."""
    before = used_bytes()
    with load(job["model"], n_ctx=FULL_N_CTX) as reasoner:
        text = ours.text_of(reasoner, FULL_N_CTX - LEFT_TOKENS)
        reasoner.ask(text, temperature=1.0, seed=1)
        plan = reasoner.plan
        return {
            "planned": plan.vram_bytes,
            "used": used_bytes() - before,
            "n_gpu_layers": plan.n_gpu_layers,
        }


def used_bytes() -> int:
    """Bytes in use on all GPUs.

    By nvidia-smi where there is one: to ask the library takes a few hundred megabytes itself.
    """
    if shutil.which("nvidia-smi"):
        command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return sum(int(line) for line in said.split()) * 2**20
    gpus = (device for device in devices.devices() if device.kind in ("gpu", "igpu"))
    return sum(device.total_bytes - device.free_bytes for device in gpus)


JOBS: dict[str, Callable[[Job], Job]] = {act.__name__: act for act in (greedy, gap, memory)}


def main() -> None:
    job = json.loads(sys.argv[1])
    print(json.dumps(JOBS[job["job"]](job)))


if __name__ == "__main__":
    main()
