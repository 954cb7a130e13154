"""A chat template is a stranger's program."""

from __future__ import annotations

import pytest

from minireason.reasoning import template
from minireason.reasoning.template import TemplateError, render, render_all

MESSAGES = [{"role": "user", "content": "hi"}]


def test_renders_with_its_variables() -> None:
    loop = "{% for m in messages %}[{{ m.role }}]{{ m['content'] | trim }}{% endfor %}"
    text = "{{ bos_token }}" + loop + "{% if add_generation_prompt %}>{% endif %}"
    assert render(text, MESSAGES, {"bos_token": "<s>"}) == "<s>[user]hi>"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{{ ''.__class__.__mro__ }}", "SecurityError"),
        ("{% for x in [1] %}", "TemplateSyntaxError"),
        ("{{ raise_exception('no system') }}", "no system"),
        ("{{ messages.append(1) }}", "SecurityError"),
        ("{{ 'x' * 3000000 }}", "more than"),
        ("{% for a in range(99999) %}xxxxxxxxxxxxxxxxxxxxxxxxx{% endfor %}", "more than"),
        ("{{ undefined.attribute }}", "UndefinedError"),
        ("{{ '\\ud800' }}", "not valid Unicode"),
        ("{{ raise_exception('\\ud800') }}", "TemplateRuntimeError"),
    ],
)
def test_refusals_are_one_line(text: str, problem: str) -> None:
    with pytest.raises(TemplateError, match=problem) as caught:
        render(text, MESSAGES, {})
    assert "\n" not in str(caught.value)


def test_memory_is_limited() -> None:
    doubling = (
        "{% set ns = namespace(x='xxxxxxxxxxxxxxxx') %}"
        "{% for a in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}"
    )
    with pytest.raises(TemplateError, match="memory"):
        render(doubling, MESSAGES, {})


def test_time_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template, "TIMEOUT_S", 1.0)
    endless = "".join(f"{{% for {name} in range(99999) %}}" for name in "abc")
    endless += "{% endfor %}" * 3
    with pytest.raises(TemplateError, match="did not finish"):
        render(endless, MESSAGES, {})


def test_several_conversations_up_to_the_first_that_fails() -> None:
    picky = (
        "{% if messages | length > 2 %}{{ raise_exception('too long') }}{% endif %}"
        "{{ messages | length }}"
    )
    assert render_all(picky, [MESSAGES, MESSAGES * 2, MESSAGES * 3], {}) == ["1", "2"]
    with pytest.raises(TemplateError, match="too long"):
        render_all(picky, [MESSAGES * 3, MESSAGES], {})
