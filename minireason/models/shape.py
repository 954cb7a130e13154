"""The dimensions of a model, from its file's header or from the catalogue before there is a file."""

from __future__ import annotations

from dataclasses import dataclass

from minireason.models.gguf import Header


@dataclass(frozen=True, slots=True)
class Shape:
    """What a model's size and cost follow from: its dimensions, the trained `context` in tokens, and the bytes of its weights.

    `tied`: the output matrix is the token embedding, stored once. `repackable`: most weights are of a kind that llama.cpp can
    rearrange for a CPU.
    """

    arch: str
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden: int
    feed_forward: int
    vocab: int
    context: int
    weight_bytes: int
    tied: bool = False
    repackable: bool = False


def of(header: Header) -> Shape:
    """The shape of a file; its header has passed `gguf.check`."""
    heads, hidden = header.number("attention.head_count"), header.number("embedding_length")
    return Shape(
        arch=header.architecture,
        layers=header.number("block_count"),
        heads=heads,
        kv_heads=header.number("attention.head_count_kv", heads),
        head_dim=header.number("attention.key_length", hidden // heads),
        hidden=hidden,
        feed_forward=header.number("feed_forward_length", 4 * hidden),
        vocab=header.array_lengths["tokenizer.ggml.tokens"],
        context=header.number("context_length"),
        weight_bytes=header.tensor_bytes,
        tied=header.tied,
        repackable=2 * header.repackable_bytes > header.tensor_bytes,
    )
