"""Runs of characters that make llama.cpp's std::regex overflow the stack, in vocabularies that fall
back on it."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from minireason.engine import cuts
from minireason.engine.model import Model

# Of the 32 kinds of vocabulary (tokenizer.ggml.pre) that crashed on one of RUNS with llama.cpp
# 0.3.36 those that differ.
FALLING_BACK = """
afmoe bailingmoe bloom cohere2moe deepseek-coder deepseek-llm deepseek-v3 default exaone-moe
falcon gpt-4o granite-embed-multi-97m jais-2 minicpm5 seed-coder spark2_5 superbpe tekken
tiny_aya ufakzeka viking youtu
""".split()
RUNS = ["a", "A", "aB", " ", "\n", "!", "1", "a1", "漢", "/\n", " \u3000", "word ", "é\u0301"]


def with_kind(source: Path, path: Path, kind: str) -> Path:
    """A copy of a model file that names another kind of vocabulary, as long as it was; of its
    weights there are only holes."""
    content = source.read_bytes()[: 4 * 2**20]
    size = {}
    for key in (b"tokenizer.ggml.pre", b"tokenizer.chat_template"):
        before, _, after = content.partition(key + struct.pack("<I", 8))
        (length,) = struct.unpack("<Q", after[:8])
        text = after[8 : 8 + length]
        if key == b"tokenizer.ggml.pre":
            size["kind"] = length
            text = kind.encode()
        else:
            text = text.ljust(length + 99)[: length + size["kind"] - len(kind)]
        content = b"".join(
            [before, key, struct.pack("<IQ", 8, len(text)), text, after[8 + length :]]
        )
    with path.open("wb") as file:
        file.write(content)
        file.truncate(source.stat().st_size)
    return path


TOKENIZE = """
import sys, threading
from pathlib import Path
from minireason.engine.model import Model
runs = sys.argv[2].split("|")
def work():
    for path in sorted(Path(sys.argv[1]).glob("*.gguf")):
        model = Model(path, vocab_only=True)
        for run in runs:
            text = "!" + run * (5_000 // len(run))
            ids = model.vocabulary.tokenize(text, parse_special=True)
            assert b"".join(map(model.vocabulary.piece, ids)).decode() == text, (path, run)
        model.close()
threading.stack_size(2**20)  # the least that a thread has, on Windows
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


def test_no_run_of_characters_crashes_the_tokenizer(tiny_path: Path, tmp_path: Path) -> None:
    for kind in FALLING_BACK:
        with_kind(tiny_path, tmp_path / f"{kind}.gguf", kind)
    ended = subprocess.run(
        [sys.executable, "-c", TOKENIZE, str(tmp_path), "|".join(RUNS)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")


CHINESE = "小明有三个苹果，他又买了12个，请问他现在一共有多少个苹果？（写出过程）。他说、好的"
ORDINARY = {
    "no punctuation": "she sells sea shells by the sea shore and he buys them all " * 40,
    "Chinese": CHINESE * 60,
    "mixed": f"https://example.org/{'path2/page17?x=a,b.' * 90} {'naïve Ångström, déjà vu. ' * 60}",
}


@pytest.mark.parametrize(
    "kind", ["smollm", "qwen2", "gpt-4o", "deepseek-v3", "deepseek-llm", "tekken"]
)
def test_no_token_of_ordinary_text_changes(
    smollm2_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Not even where what is cut is shorter by far than it is for users."""
    model = Model(with_kind(smollm2_path, tmp_path / "model.gguf", kind), vocab_only=True)
    for name, text in ORDINARY.items():
        monkeypatch.setattr(cuts, "LONGEST", 10**9)
        whole = model.vocabulary.tokenize(text, parse_special=False)
        monkeypatch.setattr(cuts, "LONGEST", 60)
        assert len(cuts.pieces(text)) > 10, name
        assert model.vocabulary.tokenize(text, parse_special=False) == whole, name
    model.close()


def test_special_tokens_stay_whole_where_the_text_of_a_template_is_cut(tiny_path: Path) -> None:
    model = Model(tiny_path, vocab_only=True)
    for shift in range(20):
        text = "a" * (cuts.LONGEST - shift) + "<think>" * 400
        ids = model.vocabulary.tokenize(text, parse_special=True)
        assert ids.count(model.vocabulary.special["<think>"]) == 400
        assert b"".join(map(model.vocabulary.piece, ids)).decode() == text
    model.close()


ENCODE = """
import sys
from pathlib import Path
from minireason.engine.model import Model
from minireason.messages import Message
from minireason.reasoning.prompt import PromptEncoder
model = Model(Path(sys.argv[1]), vocab_only=True)
run = "a" * 40_000
template = "{{ 'a' * 40000 }}{% for m in messages %}{{ m.content }}{% endfor %}"
ids = PromptEncoder(model.vocabulary, template).encode([Message(role="user", content=run)]).ids
assert b"".join(map(model.vocabulary.piece, ids)).decode().endswith(2 * run)
landing = PromptEncoder(model.vocabulary, "{{ messages[0].content }}").text(run)
assert b"".join(map(model.vocabulary.piece, landing)).decode() == run
"""


def test_neither_prompt_nor_template_nor_landing_crashes(tiny_path: Path, tmp_path: Path) -> None:
    path = with_kind(tiny_path, tmp_path / "model.gguf", "gpt-4o")
    ended = subprocess.run(
        [sys.executable, "-c", ENCODE, str(path)], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
