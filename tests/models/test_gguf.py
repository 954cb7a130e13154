from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minireason import ModelFileError
from minireason.models import gguf
from tests.models.build import write


def test_reads_the_tiny_model(tiny_path: Path) -> None:
    header = gguf.check(tiny_path)
    assert header.architecture == "qwen2"
    assert header.array_lengths["tokenizer.ggml.tokens"] == 262
    assert header.number("context_length") == 4096
    assert header.file_bytes == tiny_path.stat().st_size
    assert 0 < header.file_bytes - header.tensor_bytes < 20_000


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


def test_a_directory_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="directory"):
        gguf.check(tmp_path)
    with pytest.raises(ModelFileError, match="could not be read"):
        gguf.check(tmp_path / "none.gguf")


@settings(max_examples=300, deadline=None)
@given(position=st.integers(0, 8000), value=st.integers(0, 255), length=st.integers(0, 9000))
def test_any_damage_is_an_error_of_ours_or_harmless(
    tiny_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    position: int,
    value: int,
    length: int,
) -> None:
    """Whatever byte is changed and wherever the file is cut, reading ends in a header or a ModelFileError."""
    raw = bytearray(tiny_path.read_bytes()[:length] if length < 8000 else tiny_path.read_bytes())
    if position < len(raw):
        raw[position] = value
    path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    path.write_bytes(raw)
    with suppress(ModelFileError):
        assert gguf.check(path).tensor_bytes <= len(raw)
