"""The dimensions of a model: from its file's header, or from the catalogue before it is here."""

from __future__ import annotations

from dataclasses import dataclass

from minireason.models.gguf_header import Header


@dataclass(frozen=True, slots=True)
class Shape:
    """What a model's size and cost follow from."""

    arch: str
    """The architecture, such as "qwen2"."""

    layers: int
    """Transformer blocks."""

    heads: int
    """Attention heads of a layer."""

    kv_heads: int
    """Heads of keys and values in a layer; fewer than `heads` with grouped-query attention."""

    head_dim: int
    """Values in a head."""

    hidden: int
    """Values in the state of a token."""

    feed_forward: int
    """Width of the feed-forward part."""

    vocab: int
    """Tokens of the vocabulary."""

    context: int
    """The context that the model was trained for, in tokens."""

    weight_bytes: int
    """The weights."""

    tied: bool = False
    """Whether the output matrix is the token embedding, stored once."""

    repackable_bytes: int = 0
    """The weights of a kind that llama.cpp can rearrange for a CPU."""

    @property
    def repackable(self) -> bool:
        """Whether most weights are of such a kind."""
        return 2 * self.repackable_bytes > self.weight_bytes


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
        repackable_bytes=header.repackable_bytes,
    )
