"""What a template puts around contents is made once, and known in later runs."""

from __future__ import annotations

import json

import pytest

from minireason import UsageError
from minireason.host import paths
from minireason.reasoning.frames import frames

TEMPLATE = "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}>"
BOS = {"bos_token": "<s>"}
ONE, TWO = ("user",), ("system", "user")


@pytest.fixture
def no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the second call of `frames` on no template can be run."""
    frames(TEMPLATE, ONE, BOS)
    monkeypatch.setattr("minireason.reasoning.frames.render_all", None)


def test_frames_go_some_turns_ahead() -> None:
    made = frames(TEMPLATE, ONE, BOS)
    assert made[ONE] == ["<s>[user]", ">"]
    assert made["user", "assistant", "user"] == ["<s>[user]", "[assistant]", "[user]", ">"]


@pytest.mark.usefixtures("no_child")
def test_a_later_run_knows_them() -> None:
    assert frames(TEMPLATE, ONE, BOS)[ONE] == ["<s>[user]", ">"]
    assert len(frames(TEMPLATE, ONE, BOS)) == 17


@pytest.mark.usefixtures("no_child")
@pytest.mark.parametrize(
    ("template", "roles", "variables"),
    [(TEMPLATE + " ", ONE, BOS), (TEMPLATE, TWO, BOS), (TEMPLATE, ONE, {"bos_token": ""})],
)
def test_another_template_and_others_of_its_variables_are_run(
    template: str, roles: tuple[str, ...], variables: dict[str, str]
) -> None:
    with pytest.raises(TypeError):  # since there is no child
        frames(template, roles, variables)


@pytest.mark.parametrize(
    ("template", "roles"),
    [(TEMPLATE + "{{ strftime_now('%Y') }}", ONE), (TEMPLATE, (*TWO, "assistant", "user"))],
)
def test_what_says_the_date_and_what_is_long_is_not_remembered(
    template: str, roles: tuple[str, ...]
) -> None:
    assert roles in frames(template, roles, BOS)
    assert not (paths.data_dir() / "templates.json").exists()


@pytest.mark.usefixtures("no_child")
@pytest.mark.parametrize("kept", [[], [["", "", "", ""]]])
def test_a_note_of_other_conversations_counts_for_nothing(kept: list[list[str]]) -> None:
    note = paths.data_dir() / "templates.json"
    [(key, _)] = json.loads(note.read_text())
    note.write_text(json.dumps([[key, kept]]))
    with pytest.raises(TypeError):
        frames(TEMPLATE, ONE, BOS)


def test_a_template_that_drops_a_message_is_refused() -> None:
    with pytest.raises(UsageError, match="drops, repeats or changes"):
        frames("{{ messages[-1].content }}", TWO, BOS)
    assert not (paths.data_dir() / "templates.json").exists()
