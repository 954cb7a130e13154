"""Train the tiny model from scratch: `python bench/tiny/train.py --out tiny.pt`.

Two single-threaded processes average their gradients (a 2-thread matrix product does not scale at
this size). The schedule is in steps, so a run with one seed sees the same examples in the same
order on any machine.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import corpus
import torch
import torch.distributed as dist
import torch.nn.functional as F
from model import Shape, Tiny
from torch import Tensor

WORKERS = 2
BATCH_TOKENS = 2048
WARMUP_STEPS = 30
HOLD_SHARE = 0.1
DRILLS = ((0, 0.15), (0.15, 0.05), (0.4, 0.0))
"""From which share of the run on, what share of the examples is drills."""


class Muon:
    """Momentum whose update is made orthogonal by five Newton-Schulz steps (Jordan et al., 2024).

    For hidden matrices. Those of one shape are stacked and worked on together. In float32:
    torch.optim.Muon works in bfloat16, which is slow without hardware for it.
    """

    def __init__(
        self,
        parameters: Iterable[torch.nn.Parameter],
        momentum: float = 0.95,
        weight_decay: float = 0.05,
    ) -> None:
        self.momentum, self.weight_decay = momentum, weight_decay
        shapes: dict[torch.Size, list[torch.nn.Parameter]] = {}
        for parameter in parameters:
            shapes.setdefault(parameter.shape, []).append(parameter)
        self.groups = [(group, torch.zeros(len(group), *shape)) for shape, group in shapes.items()]

    @torch.no_grad()
    def step(self, lr: float) -> None:
        for group, buffer in self.groups:
            gradient = torch.stack(
                [parameter.grad for parameter in group if parameter.grad is not None]
            )
            buffer.lerp_(gradient, 1 - self.momentum)
            update = orthogonal(gradient.lerp(buffer, self.momentum))
            scale = max(1.0, update.shape[1] / update.shape[2]) ** 0.5
            for parameter, change in zip(group, update, strict=True):
                parameter.mul_(1 - lr * self.weight_decay).add_(change, alpha=-lr * scale)


def orthogonal(x: Tensor) -> Tensor:
    """The nearest matrix with singular values of about one, for a stack (n, rows, columns)."""
    tall = x.shape[1] > x.shape[2]
    x = x.transpose(1, 2) if tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.transpose(1, 2)
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.transpose(1, 2) if tall else x


def pack(examples: list[corpus.Example]) -> tuple[Tensor, Tensor]:
    """Inputs (batch, length) and targets of the same shape; the length is padded to 16.

    Targets are -100 where no loss counts.
    """
    length = (max(len(item.ids) for item in examples) + 14) // 16 * 16
    inputs = torch.full((len(examples), length), corpus.EOS)
    targets = torch.full((len(examples), length), -100)
    for row, item in enumerate(examples):
        ids = torch.tensor(item.ids)
        inputs[row, : len(ids) - 1] = ids[:-1]
        targets[row, item.loss_from - 1 : len(ids) - 1] = ids[item.loss_from :]
        targets[row, [index - 1 for index in item.given]] = -100
    return inputs, targets


def rate(step: int, steps: int) -> float:
    """The learning rate's factor: short warm-up, constant, then linear to 2%."""
    if step < WARMUP_STEPS:
        return (step + 1) / WARMUP_STEPS
    left = (steps - step) / (steps * (1 - HOLD_SHARE))
    return 0.02 + 0.98 * min(1.0, left)


def train(rank: int, arguments: argparse.Namespace) -> None:
    """One worker's part of the training."""
    dist.init_process_group(
        "gloo", init_method=arguments.meeting.as_uri(), rank=rank, world_size=WORKERS
    )
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    model = Tiny(Shape())
    hidden = [p for n, p in model.named_parameters() if n.startswith("blk") and p.ndim == 2]
    rest = [p for n, p in model.named_parameters() if not (n.startswith("blk") and p.ndim == 2)]
    muon, adam = Muon(hidden), torch.optim.AdamW(rest, betas=(0.9, 0.98), weight_decay=0.0)
    parameters = list(model.parameters())
    steps, out = arguments.steps, Path(arguments.out)
    drills = [(int(share * steps), drill) for share, drill in DRILLS]
    stream = corpus.batches(arguments.seed * 1000 + rank, BATCH_TOKENS, drills)
    started, tokens, recent = time.time(), 0, 0.0
    for step in range(steps):
        inputs, targets = pack(next(stream))
        loss = backward(model, inputs, targets)
        average_gradients(parameters)
        factor = rate(step, steps)
        muon.step(arguments.lr * factor)
        for group in adam.param_groups:
            group["lr"] = 3e-3 * factor
        adam.step()
        model.zero_grad()
        tokens, recent = tokens + WORKERS * inputs.numel(), recent + loss
        if rank == 0 and (step + 1) % 100 == 0:
            passed = time.time() - started
            speed = f"tokens {tokens / 1e6:.2f}M {tokens / passed:.0f}/s {passed:.0f}s"
            print(f"step {step + 1}/{steps} loss {recent / 100:.4f} {speed}", flush=True)
            recent = 0.0
        if rank == 0 and ((step + 1) % 500 == 0 or step + 1 == steps):
            facts = {"step": step + 1, "steps": steps, "seed": arguments.seed}
            torch.save({"model": model.state_dict(), **facts}, out)
    dist.destroy_process_group()


def backward(model: Tiny, inputs: Tensor, targets: Tensor) -> float:
    """Compute the gradients of a batch; its loss."""
    keep = targets.flatten() != -100
    logits = model.output(model(inputs).flatten(0, 1)[keep])
    loss = F.cross_entropy(logits, targets.flatten()[keep])
    loss.backward()
    return loss.item()


def average_gradients(parameters: list[torch.nn.Parameter]) -> None:
    """Give every worker the mean of all gradients, clipped to a norm of 1."""
    flat = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
    dist.all_reduce(flat)
    flat /= WORKERS
    flat *= min(1.0, 1.0 / (float(flat.norm()) + 1e-6))
    parts = flat.split([p.numel() for p in parameters])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.grad = part.view_as(parameter)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="tiny.pt")
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    arguments.meeting = Path(tempfile.mkdtemp()) / "meeting"
    # glibc gives large blocks back to the system at once, and page faults are slow in a virtual
    # machine: keep the blocks.
    os.environ |= {
        "MALLOC_MMAP_THRESHOLD_": "33554432",
        "MALLOC_TRIM_THRESHOLD_": "8589934592",
        "MALLOC_TOP_PAD_": "134217728",
    }
    torch.multiprocessing.start_processes(train, (arguments,), nprocs=WORKERS, start_method="spawn")


if __name__ == "__main__":
    main()
