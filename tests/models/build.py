"""Small GGUF files for tests: headers that are right or wrong, and models with random weights."""

from __future__ import annotations

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
