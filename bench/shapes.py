"""Write GGUF files with the shapes of real R1 distills and random weights.

    python bench/shapes.py r1-qwen-1.5b out.gguf

Speed and memory do not depend on the values.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

TEMPLATE = Path(__file__).parent / "tiny" / "r1_template.jinja"
SPECIAL = (
    "<｜begin▁of▁sentence｜>",
    "<｜end▁of▁sentence｜>",
    "<｜User｜>",
    "<｜Assistant｜>",
    "<think>",
    "</think>",
)
Q4, Q6, F32 = (
    gguf.GGMLQuantizationType.Q4_K,
    gguf.GGMLQuantizationType.Q6_K,
    gguf.GGMLQuantizationType.F32,
)


@dataclass(frozen=True, slots=True)
class Shape:
    """A qwen2 model's dimensions."""

    layers: int
    dim: int
    heads: int
    kv_heads: int
    hidden: int
    vocab: int
    context: int = 131_072
    head_size: int = 128


SHAPES = {
    "r1-qwen-1.5b": Shape(layers=28, dim=1536, heads=12, kv_heads=2, hidden=8960, vocab=151_936),
    "r1-qwen-7b": Shape(layers=28, dim=3584, heads=28, kv_heads=4, hidden=18_944, vocab=152_064),
    "small": Shape(
        layers=4, dim=256, heads=4, kv_heads=2, hidden=512, vocab=512, context=4096, head_size=64
    ),
}


def quantized(
    rows: int, columns: int, kind: gguf.GGMLQuantizationType, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Random blocks of Q4_K (two float16 scales first) or Q6_K (one last).

    They are about as large as trained weights.
    """
    values, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    count = rows * columns // values
    blocks = rng.integers(0, 256, (min(count, 100_000), block_bytes), dtype=np.uint8)
    scale = np.array([0.3 / columns**0.5 / 32], dtype=np.float16).view(np.uint8)
    if kind == Q4:
        blocks[:, 0:2], blocks[:, 2:4] = scale / 8, scale
    else:
        blocks[:, -2:] = scale
    return np.resize(blocks, (count, block_bytes)).reshape(rows, -1)


def tensors(
    shape: Shape, rng: np.random.Generator
) -> Iterator[tuple[str, npt.NDArray[np.generic], gguf.GGMLQuantizationType]]:
    """(name, data, type) of every tensor, in the mix of Q4_K_M.

    Half of the values and down projections and the head are in Q6_K.
    """
    q, kv = shape.heads * shape.head_size, shape.kv_heads * shape.head_size

    def matrix(
        name: str, rows: int, columns: int, kind: gguf.GGMLQuantizationType
    ) -> tuple[str, npt.NDArray[np.generic], gguf.GGMLQuantizationType]:
        return f"{name}.weight", quantized(rows, columns, kind, rng), kind

    def vector(
        name: str, size: int, value: float
    ) -> tuple[str, npt.NDArray[np.generic], gguf.GGMLQuantizationType]:
        return name, np.full(size, value, dtype=np.float32), F32

    yield matrix("token_embd", shape.vocab, shape.dim, Q4)
    for layer in range(shape.layers):
        outer = layer < shape.layers // 8 or layer >= 7 * shape.layers // 8
        more = Q6 if outer or layer % 3 == 2 else Q4
        block = f"blk.{layer}"
        yield vector(f"{block}.attn_norm.weight", shape.dim, 1.0)
        yield vector(f"{block}.ffn_norm.weight", shape.dim, 1.0)
        for name, rows in (("q", q), ("k", kv), ("v", kv)):
            yield matrix(f"{block}.attn_{name}", rows, shape.dim, more if name == "v" else Q4)
            yield vector(f"{block}.attn_{name}.bias", rows, 0.0)
        yield matrix(f"{block}.attn_output", shape.dim, q, Q4)
        yield matrix(f"{block}.ffn_gate", shape.hidden, shape.dim, Q4)
        yield matrix(f"{block}.ffn_up", shape.hidden, shape.dim, Q4)
        yield matrix(f"{block}.ffn_down", shape.dim, shape.hidden, more)
    yield vector("output_norm.weight", shape.dim, 1.0)
    yield matrix("output", shape.vocab, shape.dim, Q6)


def vocabulary(size: int) -> tuple[list[str], list[int]]:
    """A byte-level vocabulary: the bytes, made-up words, R1's special tokens."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    spare = iter(range(256, 512))
    names = [chr(byte if byte in printable else next(spare)) for byte in range(256)]
    words = [f"w{index}" for index in range(size - len(names) - len(SPECIAL))]
    kinds = (
        [gguf.TokenType.NORMAL] * (size - 6)
        + [gguf.TokenType.CONTROL] * 4
        + [gguf.TokenType.USER_DEFINED] * 2
    )
    return [*names, *words, *SPECIAL], [int(kind) for kind in kinds]


def merges(names: list[str]) -> list[str]:
    """As many merges as a real vocabulary of this size has, for the memory that they take.

    None of them ever applies.
    """
    words = names[256 : -len(SPECIAL)]
    return [f"{first} {second}" for first, second in zip(words, words[1:] + words[:1], strict=True)]


def write(shape: Shape, path: Path, seed: int = 1) -> None:
    """Write the file, one tensor in memory at a time twice over (sizes first, then data)."""
    writer = gguf.GGUFWriter(path, "qwen2", use_temp_file=True)
    writer.add_name("random weights")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_K_M)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.dim)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10_000.0)
    names, kinds = vocabulary(shape.vocab)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("deepseek-r1-qwen")
    writer.add_token_list(names)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges(names))
    writer.add_bos_token_id(shape.vocab - 6)
    writer.add_eos_token_id(shape.vocab - 5)
    writer.add_add_bos_token(True)
    writer.add_chat_template(TEMPLATE.read_text("utf-8"))
    rng = np.random.default_rng(seed)
    for name, data, kind in tensors(shape, rng):
        writer.add_tensor(name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in SHAPES:
        sys.exit(f"usage: python bench/shapes.py {{{','.join(SHAPES)}}} OUT.gguf")
    write(SHAPES[sys.argv[1]], Path(sys.argv[2]))
