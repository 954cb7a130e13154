"""Models that think between other tags are told apart by what their templates show, and refused."""

from __future__ import annotations

from pathlib import Path

import pytest

import minireason
from minireason import ModelFileError
from minireason.reasoning import tags
from tests.models import build
from tests.reasoning.test_prompt import CHATML, NEW_TEMPLATE, OLD_TEMPLATE

# what the templates of these models do with an old or a new thought, in short
OTHERS = {
    "Ministral reasoning": "{% if b.type == 'thinking' %}"
    "{{ '[THINK]' + b.thinking + '[/THINK]' }}{% endif %}",
    "gpt-oss": "{{ '<|start|>assistant<|channel|>analysis<|message|>' + m.thinking + '<|end|>' }}",
    "Gemma 4": "{% for part in text.split('<channel|>') %}"
    "{{ part.split('<|channel>')[0] }}{% endfor %}",
    "Seed-OSS": "{% set open, close = '<seed:think>', '</seed:think>' %}",
    "Command A": "{% if reasoning %}<|START_THINKING|>{{ m.thinking }}<|END_THINKING|>{% endif %}",
    "Kimi": "◁think▷{{ m.thinking }}◁/think▷",
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_tags_are_seen(name: str) -> None:
    assert tags.other_tags(f"{CHATML}{OTHERS[name]}")
    assert "<think> and </think> only" in str(tags.problem(f"{CHATML}{OTHERS[name]}"))


@pytest.mark.parametrize(
    "template",
    [
        CHATML,
        NEW_TEMPLATE,
        OLD_TEMPLATE,
        "",
        CHATML + "{# [THINK] alone #}",
        CHATML + OTHERS["Kimi"] + "{{ m.content.split('</think>')[-1] }}",
    ],
)
def test_our_tags_and_none_are_not_refused(template: str) -> None:
    assert tags.other_tags(template) is None
    assert tags.problem(template) is None


@pytest.mark.parametrize("name", OTHERS)
def test_such_a_model_is_refused_before_its_weights_are_read(tmp_path: Path, name: str) -> None:
    path = build.write(tmp_path / "model.gguf", template=CHATML + OTHERS[name])
    with pytest.raises(ModelFileError, match="writes its thoughts between"):
        minireason.load(path)
