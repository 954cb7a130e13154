"""The header of a GGUF file, read with every length checked against the bytes that are left.

Format: ggml/docs/gguf.md of the llama.cpp project. The `gguf` package reads it too, but maps the
whole file, builds an object for each of 300,000 vocabulary strings (seconds) and trusts every
length it finds.
"""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

from minireason.errors import ModelFileError
from minireason.models.hyperparameters import Value

_SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_STRING, _ARRAY = 8, 9
_MAX_STRING, _MAX_ENTRIES = 2**24, 2**16
_MAX_HEADER_BYTES = 2**26
_MAX_ARRAY_STRINGS = 2**21
"""In all arrays of a header: vocabularies have up to 262,000 tokens and 515,000 merges.

Each takes time, even an empty one.
"""

# ggml type -> (values in a block, bytes of a block); ggml.h and ggml-common.h
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    9: (32, 36), 10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210),
    15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18),
    21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8),
    28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17),
}  # fmt: skip

_REPACKABLE = frozenset({2, 12, 20})  # Q4_0, Q4_K, IQ4_NL: on x86 and ARM, repack.cpp of ggml-cpu


@dataclass(frozen=True, slots=True)
class Header:
    """What the header of a GGUF file says."""

    path: Path
    """The file."""

    metadata: dict[str, Value]
    """The scalars and strings in it by key."""

    array_lengths: dict[str, int]
    """How long the arrays in it are, by key."""

    tensor_bytes: int
    """The bytes of all tensors."""

    tied: bool = False
    """Whether there is no output matrix, so that the token embedding is used twice."""

    repackable_bytes: int = 0
    """The bytes of those tensors that llama.cpp can rearrange for a CPU."""

    @property
    def architecture(self) -> str:
        """The kind of model, such as "qwen2"; "" if it says none."""
        return str(self.metadata.get("general.architecture", ""))

    def number(self, key: str, default: int = 0) -> int:
        """An architecture's whole number, such as "block_count"."""
        value = self.metadata.get(f"{self.architecture}.{key}", default)
        return value if isinstance(value, int) else default

    @property
    def chat_template(self) -> str | None:
        """The Jinja template of a conversation; None if there is none."""
        value = self.metadata.get("tokenizer.chat_template")
        return value if isinstance(value, str) and value.strip() else None


class Reader:
    """One pass over the header, every length checked against the bytes that are left."""

    def __init__(self, path: Path, data: mmap.mmap, size: int) -> None:
        self._path, self._data, self._size = path, data, size
        self._at = self._array_strings = 0

    def header(self) -> Header:
        """Read it all; raises ModelFileError for what is not whole and well formed."""
        if self._data[:4] != b"GGUF":
            raise ModelFileError(self._path, "this is not a GGUF model file")
        self._at = 4
        version = self._whole("I")
        if version not in (2, 3):
            raise self._damaged(f"GGUF version {version}, only 2 and 3 are known")
        tensors, entries = self._whole("Q"), self._whole("Q")
        if tensors > _MAX_ENTRIES or entries > _MAX_ENTRIES:
            raise self._damaged(f"{tensors} tensors, {entries} entries")
        metadata: dict[str, Value] = {}
        lengths: dict[str, int] = {}
        for _ in range(entries):
            self._entry(metadata, lengths)
        end, repackable, names = self._tensors(tensors, metadata)
        tied = "output.weight" not in names
        return Header(self._path, metadata, lengths, end, tied, repackable)

    def _entry(self, metadata: dict[str, Value], lengths: dict[str, int]) -> None:
        key, kind = self._string(), self._whole("I")
        if key in metadata or key in lengths:
            raise self._damaged(f"{key!r} twice")
        if kind in _SCALARS:
            metadata[key] = self._scalar(_SCALARS[kind])
        elif kind == _STRING:
            metadata[key] = self._string()
        elif kind == _ARRAY:
            item, count = self._whole("I"), self._whole("Q")
            self._array_strings += count if item == _STRING else 0
            if count > _MAX_HEADER_BYTES or self._array_strings > _MAX_ARRAY_STRINGS:
                raise self._damaged(f"an array of {count}")
            lengths[key] = count
            self._skip_array(item, count)
        else:
            raise self._damaged(f"value type {kind}")

    def _skip_array(self, item: int, count: int) -> None:
        if item in _SCALARS:
            self._skip(count * struct.calcsize("<" + _SCALARS[item]))
        elif item == _STRING:
            at, data, unpack = self._at, self._data, struct.Struct("<Q").unpack_from
            try:
                for _ in range(count):
                    at += 8 + unpack(data, at)[0]
            except (struct.error, OverflowError):
                raise self._damaged("a string runs past the end") from None
            self._skip(at - self._at)
        else:
            raise self._damaged(f"an array of type {item}")

    def _tensors(self, count: int, metadata: dict[str, Value]) -> tuple[int, int, set[str]]:
        """Bytes of all tensors, of those that can be repacked, and the names of all."""
        end, repackable, names = 0, 0, set[str]()
        for _ in range(count):
            name, dimensions = self._string(), self._whole("I")
            if dimensions > 4 or name in names:
                raise self._damaged(f"tensor {name!r}")
            names.add(name)
            shape = [self._whole("Q") for _ in range(dimensions)]
            kind, offset = self._whole("I"), self._whole("Q")
            if kind not in _BLOCKS or not all(0 < size < 2**32 for size in shape):
                raise self._damaged(f"tensor {name!r}")
            values, block_bytes = _BLOCKS[kind]
            size = math.prod(shape) // values * block_bytes
            end = max(end, offset + size)
            repackable += size if kind in _REPACKABLE else 0
        alignment = metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment not in (2**power for power in range(3, 17)):
            raise self._damaged(f"alignment {alignment}")
        start = math.ceil(self._at / alignment) * alignment
        if start + end > self._size:
            missing = start + end - self._size
            raise ModelFileError(
                self._path,
                f"the file is cut short: {missing:,} of {start + end:,} bytes are missing; "
                "download it again",
            )
        return end, repackable, names

    def _scalar(self, code: str) -> int | float | bool:
        try:
            value: int | float | bool = struct.unpack_from("<" + code, self._data, self._at)[0]
        except struct.error:
            raise self._damaged("it ends early") from None
        self._at += struct.calcsize("<" + code)
        return value

    def _whole(self, code: str) -> int:
        return int(self._scalar(code))

    def _string(self) -> str:
        length, start = self._whole("Q"), self._at
        if length > _MAX_STRING:
            raise self._damaged(f"a string of {length}")
        self._skip(length)
        return self._data[start : self._at].decode("utf-8", errors="replace")

    def _skip(self, count: int) -> None:
        self._at += count
        if self._at > self._size:
            raise self._damaged("it ends early")
        if self._at > _MAX_HEADER_BYTES:
            raise self._damaged(f"it is longer than {_MAX_HEADER_BYTES:,} bytes")

    def _damaged(self, what: str) -> ModelFileError:
        return ModelFileError(
            self._path, f"the header is damaged ({what}); download the file again"
        )
