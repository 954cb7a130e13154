"""The tiny model in PyTorch: llama.cpp's `qwen2` architecture, nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Shape:
    vocab: int = 262
    dim: int = 128
    layers: int = 5
    heads: int = 4
    kv_heads: int = 2
    hidden: int = 384
    rope_base: float = 10_000.0
    eps: float = 1e-6

    @property
    def head_dim(self) -> int:
        return self.dim // self.heads


def rope_table(shape: Shape, length: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines, (length, head_dim / 2), for rotation of the two halves (NEOX order)."""
    half = shape.head_dim // 2
    rates = shape.rope_base ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = torch.outer(torch.arange(length, dtype=torch.float64), rates)
    return angles.cos().float(), angles.sin().float()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


class Block(nn.Module):
    """Attention with q/k/v biases and grouped keys, then a SwiGLU feed-forward.

    Each is behind an RMS norm.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        kv = shape.kv_heads * shape.head_dim
        self.attn_norm = nn.RMSNorm(shape.dim, shape.eps)
        self.attn_q = nn.Linear(shape.dim, shape.dim)
        self.attn_k = nn.Linear(shape.dim, kv)
        self.attn_v = nn.Linear(shape.dim, kv)
        self.attn_output = nn.Linear(shape.dim, shape.dim, bias=False)
        self.ffn_norm = nn.RMSNorm(shape.dim, shape.eps)
        self.ffn_gate = nn.Linear(shape.dim, shape.hidden, bias=False)
        self.ffn_up = nn.Linear(shape.dim, shape.hidden, bias=False)
        self.ffn_down = nn.Linear(shape.hidden, shape.dim, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, length, dim = x.shape
        shape, groups = self.shape, self.shape.heads // self.shape.kv_heads
        h = self.attn_norm(x)
        q = rotate(self.attn_q(h).view(batch, length, shape.heads, -1).transpose(1, 2), cos, sin)
        k = rotate(self.attn_k(h).view(batch, length, shape.kv_heads, -1).transpose(1, 2), cos, sin)
        v = self.attn_v(h).view(batch, length, shape.kv_heads, -1).transpose(1, 2)
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
        h = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn_output(h.transpose(1, 2).reshape(batch, length, dim))
        h = self.ffn_norm(x)
        return x + self.ffn_down(F.silu(self.ffn_gate(h)) * self.ffn_up(h))


class Tiny(nn.Module):
    """Token ids (batch, length) to final hidden states (batch, length, dim).

    `output` maps those to logits.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(shape.vocab, shape.dim)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.output_norm = nn.RMSNorm(shape.dim, shape.eps)
        self.output = nn.Linear(shape.dim, shape.vocab, bias=False)
        self._init()

    def _init(self) -> None:
        nn.init.normal_(self.token_embd.weight, std=0.5)
        for name, parameter in self.named_parameters():
            last = name.startswith("output.") or "attn_output" in name or "ffn_down" in name
            if last or name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif parameter.ndim == 2 and "token_embd" not in name:
                nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)

    def forward(self, ids: Tensor) -> Tensor:
        cos, sin = rope_table(self.shape, ids.shape[1])
        x = self.token_embd(ids)
        for block in self.blk:
            x = block(x, cos, sin)
        return self.output_norm(x)
