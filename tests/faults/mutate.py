"""A GGUF file taken apart, changed where it means something, and put together again."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

Value: TypeAlias = "int | float | bytes | Array"

CODES = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
STRING, ARRAY = 8, 9
F32 = 0
ALIGNMENT = 32


@dataclass
class Array:
    kind: int
    items: list[int | float | bytes]


@dataclass
class Entry:
    key: bytes
    kind: int
    value: Value


@dataclass
class Tensor:
    name: bytes
    shape: list[int]
    kind: int
    offset: int


@dataclass
class Parts:
    """What a file is made of.

    `counts` are (tensors, entries) as the header tells them, None for the truth.
    """

    entries: list[Entry]
    tensors: list[Tensor]
    data: bytearray
    counts: tuple[int, int] | None = None

    def get(self, key: str) -> Entry:
        """An entry; raises KeyError if an earlier change took it away."""
        for entry in self.entries:
            if entry.key == key.encode():
                return entry
        raise KeyError(key)

    def text(self, key: str) -> bytes:
        value = self.get(key).value
        if not isinstance(value, bytes):
            raise KeyError(key)
        return value

    def put(self, key: str, kind: int, value: Value) -> None:
        """Set an entry, or add it."""
        self.entries = [entry for entry in self.entries if entry.key != key.encode()]
        self.entries.append(Entry(key.encode(), kind, value))

    def array(self, key: str) -> Array:
        value = self.get(key).value
        if not isinstance(value, Array):
            raise KeyError(key)
        return value

    def of(self, name: str) -> Tensor:
        return next(tensor for tensor in self.tensors if tensor.name == name.encode())


class _Reader:
    def __init__(self, raw: bytes) -> None:
        self.raw, self.at = raw, 0

    def number(self, code: str) -> int | float:
        value: int | float = struct.unpack_from("<" + code, self.raw, self.at)[0]
        self.at += struct.calcsize("<" + code)
        return value

    def whole(self, code: str) -> int:
        return int(self.number(code))

    def string(self) -> bytes:
        length = self.whole("Q")
        self.at += length
        return self.raw[self.at - length : self.at]

    def value(self, kind: int) -> int | float | bytes:
        return self.string() if kind == STRING else self.number(CODES[kind])

    def entry(self) -> Entry:
        key, kind = self.string(), self.whole("I")
        if kind != ARRAY:
            return Entry(key, kind, self.value(kind))
        item, count = self.whole("I"), self.whole("Q")
        return Entry(key, kind, Array(item, [self.value(item) for _ in range(count)]))

    def tensor(self) -> Tensor:
        name = self.string()
        shape = [self.whole("Q") for _ in range(self.whole("I"))]
        return Tensor(name, shape, self.whole("I"), self.whole("Q"))


def parse(raw: bytes) -> Parts:
    """The parts of a well-formed file of version 3."""
    reader = _Reader(raw)
    reader.at = 8
    tensors, entries = reader.whole("Q"), reader.whole("Q")
    read_entries = [reader.entry() for _ in range(entries)]
    read_tensors = [reader.tensor() for _ in range(tensors)]
    start = math.ceil(reader.at / ALIGNMENT) * ALIGNMENT
    return Parts(read_entries, read_tensors, bytearray(raw[start:]))


def build(parts: Parts) -> bytes:
    """The file that these parts make."""
    tensors, entries = parts.counts or (len(parts.tensors), len(parts.entries))
    out = [b"GGUF", struct.pack("<IQQ", 3, tensors, entries)]
    for entry in parts.entries:
        out += [_string(entry.key), struct.pack("<I", entry.kind), _value(entry.kind, entry.value)]
    for tensor in parts.tensors:
        out.append(_string(tensor.name))
        out.append(struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape))
        out.append(struct.pack("<IQ", tensor.kind, tensor.offset))
    header = b"".join(out)
    return header + bytes(-len(header) % ALIGNMENT) + bytes(parts.data)


def _string(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def _value(kind: int, value: Value) -> bytes:
    if isinstance(value, Array):
        items = b"".join(_value(value.kind, item) for item in value.items)
        return struct.pack("<IQ", value.kind, len(value.items)) + items
    if isinstance(value, bytes):
        return _string(value)
    return struct.pack("<" + CODES[kind], value)


ODD_FLOATS = (0.0, -0.0, -1.0, 1e-38, 1e-6, 0.5, 1e38, math.nan, math.inf, -math.inf)
NUMBERS = (
    "attention.head_count attention.head_count_kv attention.key_length attention.value_length "
    "attention.sliding_window block_count context_length embedding_length expert_count "
    "expert_used_count feed_forward_length rope.dimension_count "
    "rope.scaling.original_context_length vocab_size"
).split()
FLOATS = (
    "attention.layer_norm_epsilon attention.layer_norm_rms_epsilon attention.scale logit_scale "
    "rope.freq_base rope.scaling.attn_factor rope.scaling.factor rope.scaling.yarn_log_multiplier"
).split()
ARCHITECTURES = (
    b"llama qwen2 qwen3 mistral3 phi3 smollm3 granite olmo2 exaone glm4 qwen2moe".split()
)
TEXTS = (b"", b"\xff\xfe", b"\xed\xa0\x80", b"\0", b"x" * 100_000, b" " * 40_000, "é漢🙂".encode())
TEMPLATES = (
    b"{{ '\\ud800' }}",
    b"{% for m in messages %}{{ m.content }}{{ 'a' * 90000 }}{% endfor %}",
    b"{{ raise_exception('\\n') }}",
    b"{% for m in messages %}{{ m.content }}{{ '<think>' * 50 }}{% endfor %}",
    b"{% for m in messages %}{{ m.content | upper }}{% endfor %}",
    b"{{ messages[0].content }}{{ bos_token * 999 }}",
    b"x" * 2_000_000,
)


def number(parts: Parts, rng: Random) -> None:
    """Any number of the header gets an odd value of its type, or of another."""
    entry = rng.choice([entry for entry in parts.entries if entry.kind in CODES])
    entry.kind = rng.choice((*CODES, *[entry.kind] * 20))
    entry.value = _odd(entry.kind, rng)


def dimension(parts: Parts, rng: Random) -> None:
    """A number of the architecture, there before or not."""
    arch = parts.text("general.architecture")
    if rng.random() < 0.5:
        key, kind = rng.choice(NUMBERS), rng.choice((4, 4, 4, 5))
        value: int | float = rng.choice((0, 1, 2, 3, 5, 7, 16, 31, 33, 64, 128, 255, 513, 2**20))
        value = -value if kind == 5 else value
    else:
        key, kind, value = rng.choice(FLOATS), 6, rng.choice(ODD_FLOATS)
    parts.put(f"{arch.decode()}.{key}", kind, value)


def architecture(parts: Parts, rng: Random) -> None:
    """The same weights under another architecture's name, its keys renamed with it."""
    before, after = parts.text("general.architecture"), rng.choice(ARCHITECTURES)
    parts.get("general.architecture").value = after
    for entry in parts.entries:
        if entry.key.startswith(before + b"."):
            entry.key = after + entry.key.removeprefix(before)


def text(parts: Parts, rng: Random) -> None:
    """A text of the header, or the name of a key."""
    entry = rng.choice(parts.entries)
    if rng.random() < 0.2:
        entry.key = rng.choice((*TEXTS, rng.choice(parts.entries).key))
        return
    entry.kind, entry.value = STRING, rng.choice(TEXTS)


def template(parts: Parts, rng: Random) -> None:
    parts.put("tokenizer.chat_template", STRING, rng.choice(TEMPLATES))


def pre_tokenizer(parts: Parts, rng: Random) -> None:
    """How text is split before merging: another name, known or not."""
    names = b"default llama-bpe deepseek-llm deepseek-coder falcon gpt-2 qwen2 tekken nonsense"
    parts.put("tokenizer.ggml.pre", STRING, rng.choice(names.split()))


def special_ids(parts: Parts, rng: Random) -> None:
    name = rng.choice("bos eos eot unknown padding separator".split())
    value = rng.choice((0, 1, 255, 256, 261, 262, 511, 512, 2**31 - 1, 2**31, 2**32 - 1))
    parts.put(f"tokenizer.ggml.{name}_token_id", 4, value)


def vocabulary(parts: Parts, rng: Random) -> None:
    """Entries of the vocabulary: empty, equal, of bytes that are no text, very long, special."""
    tokens = parts.array("tokenizer.ggml.tokens").items
    for _ in range(rng.choice((1, 1, 5, 50))):
        tokens[rng.randrange(len(tokens))] = rng.choice((*TEXTS, rng.choice(tokens), b"<think>"))
    if rng.random() < 0.2:
        del tokens[rng.randrange(len(tokens)) :]


def token_types(parts: Parts, rng: Random) -> None:
    types = parts.array("tokenizer.ggml.token_type").items
    for _ in range(rng.choice((1, 10, 100))):
        types[rng.randrange(len(types))] = rng.choice((0, 1, 2, 3, 4, 5, 6, 7, -1, 2**31 - 1))
    if rng.random() < 0.2:
        del types[rng.randrange(len(types)) :]


def merges(parts: Parts, rng: Random) -> None:
    items = parts.array("tokenizer.ggml.merges").items
    tokens = parts.array("tokenizer.ggml.tokens").items
    odd = (b"", b" ", b"a", b"a b c", b"\xff \xff", b"x" * 50_000 + b" y")
    for _ in range(rng.choice((1, 10, 100))):
        first, second = (token for token in rng.choices(tokens, k=2) if isinstance(token, bytes))
        items.append(rng.choice((*odd, first + b" " + second)))
    rng.shuffle(items)


def tensor_info(parts: Parts, rng: Random) -> None:
    """The name, shape, type or place of a tensor."""
    tensor = rng.choice(parts.tensors)
    match rng.randrange(6):
        case 0:
            side = rng.randrange(len(tensor.shape))
            tensor.shape[side] = rng.choice((0, 1, tensor.shape[side] + 32, 2**31, 2**63))
        case 1:
            tensor.kind = rng.randrange(41)
        case 2:
            tensor.offset = rng.choice((0, 1, 32, tensor.offset ^ 32, len(parts.data), 2**63))
        case 3:
            tensor.name = rng.choice((b"", b"rope_freqs.weight", rng.choice(parts.tensors).name))
        case 4:
            parts.tensors.remove(tensor)
        case _:
            tensor.shape = [*tensor.shape, *rng.choices((1, 2, 32), k=rng.randrange(1, 5))]


def weights(parts: Parts, rng: Random) -> None:
    """Bytes of one tensor: values that are no numbers, huge ones, a flipped bit.

    Norms most of all: each value counts.
    """
    vectors = [tensor for tensor in parts.tensors if tensor.kind == F32]
    tensor = rng.choice(vectors if vectors and rng.random() < 0.6 else parts.tensors)
    if tensor.kind != F32:
        for _ in range(rng.choice((1, 10, 1000))):
            at = tensor.offset + rng.randrange(min(2**14, len(parts.data) - tensor.offset))
            parts.data[at] = rng.choice((0x7C, 0x7E, 0xFC, 0xFF, rng.randrange(256)))
        return
    at = tensor.offset + 4 * rng.randrange(tensor.shape[0])
    if rng.random() < 0.4:
        parts.data[at + rng.randrange(4)] ^= 1 << rng.randrange(8)
        return
    count = rng.choice((1, tensor.shape[0] - (at - tensor.offset) // 4))
    value = struct.pack("<f", rng.choice(ODD_FLOATS))
    parts.data[at : at + 4 * count] = value * count


def counts(parts: Parts, rng: Random) -> None:
    tensors, entries = len(parts.tensors), len(parts.entries)
    lies = (0, 1, 2**16, 2**32, 2**63)
    parts.counts = rng.choice(
        ((rng.choice((tensors - 1, *lies)), entries), (tensors, rng.choice((entries - 1, *lies))))
    )


def entries(parts: Parts, rng: Random) -> None:
    """An entry is missing, twice there, or moved."""
    entry = rng.choice(parts.entries)
    match rng.randrange(3):
        case 0:
            parts.entries.remove(entry)
        case 1:
            parts.entries.append(entry)
        case _:
            parts.entries.remove(entry)
            parts.entries.append(entry)


CHANGES: tuple[Callable[[Parts, Random], None], ...] = (
    number, dimension, dimension, architecture, text, template, pre_tokenizer, special_ids,
    vocabulary, token_types, merges, tensor_info, weights, weights, weights, counts, entries,
)  # fmt: skip


def mutant(raw: bytes, rng: Random) -> tuple[str, bytes]:
    """What was done to a file, and the file.

    A change of its structure, sometimes two, or of its bytes.
    """
    if rng.random() < 0.1:
        return "bytes", _bytes(bytearray(raw), rng)
    parts, names = parse(raw), []
    for change in rng.sample(CHANGES, k=rng.choice((1, 1, 1, 2))):
        with suppress(KeyError):
            change(parts, rng)
            names.append(change.__name__)
    return "+".join(names), build(parts)


def _bytes(raw: bytearray, rng: Random) -> bytes:
    """Flipped bytes of the header, lengths that lie, a file cut short or with more behind it."""
    match rng.randrange(4):
        case 0:
            return bytes(raw[: rng.randrange(len(raw))])
        case 1:
            return bytes(raw) + rng.randbytes(rng.choice((1, 1000)))
        case 2:
            at = rng.randrange(8, 6000)
            raw[at : at + 8] = struct.pack("<Q", rng.choice((0, 1, 2**16, 2**31, 2**63)))
        case _:
            for _ in range(rng.choice((1, 3, 20))):
                raw[rng.randrange(8000)] = rng.randrange(256)
    return bytes(raw)


def _odd(kind: int, rng: Random) -> int | float:
    if CODES[kind] in "fd":
        return rng.choice(ODD_FLOATS)
    bits = 8 * struct.calcsize(CODES[kind])
    if CODES[kind] == "?":
        return rng.randrange(2)
    if CODES[kind].isupper():
        return rng.choice((0, 1, 2, 3, 7, 63, 2**bits - 1, rng.randrange(2**bits)))
    return rng.choice((0, 1, -1, -2, 3, 7, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1))
