"""Small GGUF files for tests: headers that are right or wrong, and models with random weights."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np

TEMPLATE = "{% for m in messages %}{{ m.content }}{% endfor %}"
BYTES = [chr(code) for code in range(256, 512)]


def write(
    path: Path,
    *,
    arch: str = "qwen2",
    template: str | None = TEMPLATE,
    extra: dict[str, Any] | None = None,
    tensors: bool = True,
) -> Path:
    """A file with a plausible header and one tensor.

    Changed by `extra` (key -> whole number or text).
    """
    writer = gguf.GGUFWriter(path, arch)
    writer.add_block_count(2)
    writer.add_context_length(512)
    writer.add_embedding_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["a", "b", "<eos>"])
    if template is not None:
        writer.add_chat_template(template)
    for key, value in (extra or {}).items():
        if isinstance(value, int):
            writer.add_uint32(key, value)
        else:
            writer.add_string(key, value)
    if tensors:
        writer.add_tensor("token_embd.weight", np.zeros((3, 64), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def damage(source: Path, path: Path, tensor: str, row: int, data: bytes) -> Path:
    """A copy of a model with other bytes at the beginning of a row of one of its tensors."""
    tensors = {item.name: item for item in gguf.GGUFReader(source).tensors}
    content = bytearray(source.read_bytes())
    start = int(tensors[tensor].data_offset) + row * int(tensors[tensor].data.strides[0])
    content[start : start + len(data)] = data
    path.write_bytes(content)
    return path


def shallow(source: Path, path: Path, layers: int) -> Path:
    """A copy of a llama model with its first layers alone: its own vocabulary, and no sense.

    Bytes are cut out, since gguf's reader takes seconds for a large vocabulary. Layout: ggml's
    docs/gguf.md; the offsets of tensors in the file have to ascend without a gap.
    """
    data = source.read_bytes()
    (count,) = struct.unpack_from("<Q", data, 8)
    position = first = data.index(_text("token_embd.weight"))
    tensors: list[tuple[str, bytes, int]] = []  # name, shape with type, offset
    for _ in range(count):
        (length,) = struct.unpack_from("<Q", data, position)
        name = data[position + 8 : position + 8 + length].decode()
        position += 8 + length
        (dimensions,) = struct.unpack_from("<I", data, position)
        end = position + 4 + 8 * dimensions + 4
        tensors.append((name, data[position:end], struct.unpack_from("<Q", data, end)[0]))
        position = end + 8
    body = _aligned(position)
    ends = [offset for _, _, offset in tensors[1:]] + [len(data) - body]
    infos, content = b"", b""
    kept = 0
    for (name, shape, offset), end in zip(tensors, ends, strict=True):
        block = re.match(r"blk\.(\d+)\.", name)
        if block is None or int(block[1]) < layers:
            infos += _text(name) + shape + struct.pack("<Q", len(content))
            content += data[body + offset : body + end]
            kept += 1
    head = bytearray(data[:first])
    struct.pack_into("<Q", head, 8, kept)
    key = _text("llama.block_count")
    struct.pack_into("<I", head, head.index(key) + len(key) + 4, layers)
    whole = bytes(head) + infos
    path.write_bytes(whole.ljust(_aligned(len(whole)), b"\0") + content)
    return path


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def _aligned(size: int) -> int:
    return -(-size // 32) * 32
