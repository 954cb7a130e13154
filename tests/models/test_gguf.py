from __future__ import annotations

import os
import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minireason import ModelFileError
from minireason.models import gguf
from tests.faults import mutate
from tests.models.build import write


def test_reads_the_tiny_model(tiny_path: Path) -> None:
    header = gguf.check(tiny_path)
    assert header.architecture == "qwen2"
    assert header.array_lengths["tokenizer.ggml.tokens"] == 262
    assert header.number("context_length") == 4096
    assert 0 < tiny_path.stat().st_size - header.tensor_bytes < 20_000


def test_reads_smollm2(smollm2_path: Path) -> None:
    header = gguf.check(smollm2_path)
    assert (header.architecture, header.number("block_count")) == ("llama", 30)
    assert header.chat_template


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not a GGUF"),
        (b"# README\n" * 10, "not a GGUF"),
        (b"GGUF", "not a GGUF"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 1), "damaged"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**60), "damaged"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1), "damaged"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**62), "damaged"),
        (b"GGUF" + struct.pack("<IQQQ1sI", 3, 0, 1, 1, b"a", 77), "value type 77"),
        (b"GGUF" + struct.pack("<IQQQ1sIIQ", 3, 0, 1, 1, b"a", 9, 9, 1), "array of type 9"),
        (b"GGUF" + struct.pack("<IQQQ1sIIQ", 3, 0, 1, 1, b"a", 9, 8, 2**20), "damaged"),
    ],
)
def test_damaged_headers(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=problem) as caught:
        gguf.check(path)
    assert caught.value.path == path


def test_a_file_cut_short_says_how_much_is_missing(tmp_path: Path, tiny_path: Path) -> None:
    path = tmp_path / "cut.gguf"
    path.write_bytes(tiny_path.read_bytes()[:-1000])
    with pytest.raises(ModelFileError, match=r"cut short: 9\d\d of"):
        gguf.check(path)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"arch": "bert"}, "kind 'bert'"),
        ({"arch": "mamba"}, "kind 'mamba'"),
        ({"arch": "jamba"}, "kind 'jamba'"),
        ({"arch": "gemma3"}, "kind 'gemma3'"),
        ({"extra": {"qwen2.attention.sliding_window": 512}}, "sliding-window"),
        ({"template": None}, "no chat template"),
        ({"template": "  "}, "no chat template"),
    ],
)
def test_other_kinds_of_models(tmp_path: Path, changes: dict[str, str], problem: str) -> None:
    path = write(tmp_path / "other.gguf", **changes)  # type: ignore[arg-type]
    with pytest.raises(ModelFileError, match=problem):
        gguf.check(path)


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("key", "kind", "value"),
    [
        ("attention.head_count_kv", 5, -2),
        ("attention.head_count_kv", 4, 0),
        ("attention.head_count_kv", 4, 3),
        ("attention.head_count", 4, 128 + 1),
        ("attention.key_length", 4, 0),
        ("attention.key_length", 4, 33),
        ("attention.layer_norm_rms_epsilon", 6, NAN),
        ("attention.layer_norm_rms_epsilon", 6, -1e-6),
        ("attention.scale", 6, NAN),
        ("block_count", 4, 2**23),
        ("embedding_length", 7, False),
        ("feed_forward_length", 5, -1),
        ("rope.dimension_count", 4, 0),
        ("rope.dimension_count", 4, 31),
        ("rope.dimension_count", 4, 34),
        ("rope.freq_base", 6, 0.0),
        ("rope.freq_base", 6, -1.0),
        ("rope.freq_base", 6, NAN),
        ("rope.scaling.factor", 6, INF),
    ],
)
def test_numbers_that_no_model_has(
    tiny_path: Path, tmp_path: Path, key: str, kind: int, value: float
) -> None:
    """They hang or abort llama.cpp, or divide by zero here."""
    parts = mutate.parse(tiny_path.read_bytes())
    parts.put(f"qwen2.{key}", kind, value)
    path = tmp_path / "odd.gguf"
    path.write_bytes(mutate.build(parts))
    with pytest.raises(ModelFileError, match="which no model has"):
        gguf.check(path)


def test_a_vocabulary_without_the_types_of_its_tokens(tiny_path: Path, tmp_path: Path) -> None:
    """llama.cpp asks for more memory than there is."""
    parts = mutate.parse(tiny_path.read_bytes())
    del parts.array("tokenizer.ggml.token_type").items[256:]
    path = tmp_path / "odd.gguf"
    path.write_bytes(mutate.build(parts))
    with pytest.raises(ModelFileError, match="262 tokens and the types of 256"):
        gguf.check(path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe.gguf"
    os.mkfifo(path)
    with pytest.raises(ModelFileError, match="not a file"):
        gguf.check(path)


def test_endless_arrays_are_refused_before_they_are_read(tmp_path: Path) -> None:
    """A file with holes takes no disk and may be very long: 600 million empty strings in 5 GB."""
    path = tmp_path / "holes.gguf"
    with path.open("wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, 0, 40))
        for number in range(2):
            file.write(struct.pack("<Q2sIIQ", 2, b"k%d" % number, 9, 8, 2**20 + 1))
            file.seek(8 * (2**20 + 1), 1)
        file.truncate(5 * 2**30)
    with pytest.raises(ModelFileError, match="an array of 1048577"):
        gguf.check(path)
    with path.open("r+b") as file:
        file.write(b"GGUF" + struct.pack("<IQQQ2sIIQ", 3, 0, 40, 2, b"k0", 9, 0, 2**26 - 50))
    with pytest.raises(ModelFileError, match="longer than 67,108,864 bytes"):
        gguf.check(path)


def test_a_vocabulary_alone_and_an_endless_template(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no weights"):
        gguf.check(write(tmp_path / "vocabulary.gguf", tensors=False))
    with pytest.raises(ModelFileError, match="too long"):
        gguf.check(write(tmp_path / "template.gguf", template="x" * (2**20 + 1)))


def test_no_part_of_no_parts(tmp_path: Path) -> None:
    path = tmp_path / "a-00001-of-00000.gguf"
    assert gguf.shards(path) == [path]


def test_a_directory_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="directory"):
        gguf.check(tmp_path)
    with pytest.raises(ModelFileError, match="could not be read"):
        gguf.check(tmp_path / "none.gguf")


@settings(max_examples=300)
@given(position=st.integers(0, 8000), value=st.integers(0, 255), length=st.integers(0, 9000))
def test_any_damage_is_an_error_of_ours_or_harmless(
    tiny_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    position: int,
    value: int,
    length: int,
) -> None:
    """Whatever byte is changed and wherever the file is cut, reading ends.

    It ends in a header or a ModelFileError.
    """
    raw = bytearray(tiny_path.read_bytes()[:length] if length < 8000 else tiny_path.read_bytes())
    if position < len(raw):
        raw[position] = value
    path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    path.write_bytes(raw)
    with suppress(ModelFileError):
        assert gguf.check(path).tensor_bytes <= len(raw)
