"""Runs of characters that make llama.cpp's std::regex overflow the stack, in vocabularies that fall
back on it."""

from __future__ import annotations

import base64
import json
import string
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minireason.engine import cuts
from minireason.engine.model import Model
from minireason.engine.vocabulary import ModelVocabulary

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
            text = "!" + run * (int(sys.argv[3]) // len(run))
            ids = model.vocabulary.tokenize(text, parse_special=True)
            assert b"".join(map(model.vocabulary.piece, ids)).decode() == text, (path, run)
        model.close()
threading.stack_size(2**20)  # the least that a thread has, on Windows
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


@pytest.mark.parametrize(
    ("kinds", "length"),
    [(FALLING_BACK, 5_000), ("gpt-2 smollm llama-bpe qwen2 qwen35 kimi-k2 laguna".split(), 30_000)],
    ids=["cut", "not cut"],
)
def test_no_run_of_characters_crashes_the_tokenizer(
    tiny_path: Path, tmp_path: Path, kinds: list[str], length: int
) -> None:
    assert cuts.UNCUT.isdisjoint(kinds) == (kinds is FALLING_BACK)
    for kind in kinds:
        with_kind(tiny_path, tmp_path / f"{kind}.gguf", kind)
    ended = subprocess.run(
        [sys.executable, "-c", TOKENIZE, str(tmp_path), "|".join(RUNS), str(length)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")


CHINESE = "小明有三个苹果，他又买了12个，请问他现在一共有多少个苹果？（写出过程）。他说、好的"
SEEDS = st.integers(0, 2**32)
WORDS = st.text(string.ascii_letters, min_size=1, max_size=9)
VALUES = st.recursive(
    WORDS | st.integers() | st.floats(allow_nan=False) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, min_size=1) | st.dictionaries(WORDS, inner, min_size=1),
)
ORDINARY = st.one_of(
    st.just("she sells sea shells by the sea shore and he buys them all "),
    st.just(CHINESE),
    st.just("naïve Ångström, déjà vu. "),
    VALUES.map(lambda value: json.dumps({"value": value}, separators=(",", ":"))),
    st.dictionaries(WORDS, WORDS | st.just(CHINESE), min_size=3).map(
        lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    ),
    st.lists(WORDS, min_size=2).map(lambda words: f"https://{'/'.join(words)}?x=1&{words[0]}=a,b."),
    SEEDS.map(lambda seed: base64.b64encode(Random(seed).randbytes(150)).decode()),
    SEEDS.map(lambda seed: Random(seed).randbytes(100).hex()),
    st.lists(WORDS, min_size=3).map(
        lambda names: f"{names[0]}({','.join(names)}){{i+=a[17]+'b'}};"
    ),
    st.lists(WORDS, min_size=3).map("_".join),
)
"""Texts that people write or paste, most of them without any white space."""


@pytest.fixture(scope="module")
def vocabularies(
    smollm2_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], ModelVocabulary]]:
    """The vocabulary of SmolLM2, split into words as another kind says."""
    models: dict[str, Model] = {}

    def of(kind: str) -> ModelVocabulary:
        if kind not in models:
            path = tmp_path_factory.mktemp("kind") / "model.gguf"
            models[kind] = Model(with_kind(smollm2_path, path, kind), vocab_only=True)
        return models[kind].vocabulary

    yield of
    for model in models.values():
        model.close()


KINDS = ["deepseek-v3", "qwen2", "superbpe", "tekken"]
MORE_KINDS = """
deepseek-coder deepseek-llm default exaone-moe falcon gpt-4o jais-2 smollm spark2_5 tiny_aya youtu
""".split()


@pytest.mark.parametrize(
    "kind", [*KINDS, *(pytest.param(kind, marks=pytest.mark.slow) for kind in MORE_KINDS)]
)
@settings(max_examples=20)
@given(texts=st.lists(ORDINARY, min_size=1, max_size=4))
def test_no_token_of_ordinary_text_changes(
    vocabularies: Callable[[str], ModelVocabulary], kind: str, texts: list[str]
) -> None:
    """Not even where what is cut is shorter by far than it is for users."""
    vocabulary, text = vocabularies(kind), "".join(texts) * 20
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuts, "LONGEST", 10**9)
        whole = vocabulary.tokenize(text, parse_special=False)
        patch.setattr(cuts, "LONGEST", 150)
        assert vocabulary.tokenize(text, parse_special=False) == whole


@pytest.mark.parametrize("kind", ["bloom", "poro-chat", "viking"])
def test_minified_json_keeps_its_tokens_where_words_go_over_quotes(
    vocabularies: Callable[[str], ModelVocabulary], kind: str
) -> None:
    vocabulary, number = vocabularies(kind), 123_456
    values = {f"key{index}": [number * index, "naïve", None] for index in range(200)}
    text = json.dumps(values, separators=(",", ":"), ensure_ascii=False)
    assert len(cuts.pieces(text, kind)) > 5
    whole = b"".join(map(vocabulary.piece, vocabulary.tokenize(text, parse_special=False)))
    assert whole.decode() == text
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuts, "LONGEST", 10**9)
        uncut = vocabulary.tokenize(text, parse_special=False)
    assert vocabulary.tokenize(text, parse_special=False) == uncut


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
