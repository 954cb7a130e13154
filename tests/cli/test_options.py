from __future__ import annotations

from dataclasses import fields
from typing import Annotated, get_type_hints

import pytest
import typer
from typer.testing import CliRunner

from minireason import BadSetting, LoadSettings, Settings, VoteSettings
from minireason.cli.commands.solve import Vote
from minireason.cli.grouped import Sectioned, expand
from minireason.cli.options import Asked
from tests.cli.run import assert_one_sentence, minireason


def names(kind: type) -> set[str]:
    return {field.name for field in fields(kind)}


def test_every_option_changes_a_setting() -> None:
    assert names(Asked) - {"model", "system", "offline"} <= names(Settings) | names(LoadSettings)
    assert names(Vote) <= names(VoteSettings)


NOT_ON_THE_COMMAND_LINE = {
    (Settings, "top_k"): "for experiments with sampling; top_p does what users want of it",
    (Settings, "thinking"): "--effort none",
    (Settings, "min_thinking"): "a guard against models that skip the thought",
    (Settings, "landing"): "wording for programs that land in another language",
    (Settings, "stop"): "for programs that read the answer; solve has another --stop",
    (LoadSettings, "n_seq_max"): "--parallel of solve and eval sees to it",
    (LoadSettings, "kv_type"): "the plan chooses it by the memory that there is",
    (LoadSettings, "speculation"): "it switches itself off; --reproducible keeps it off",
    (VoteSettings, "stop_threshold"): "its error was measured for the default alone",
}
"""Settings without an option, and why."""

OPTIONS = {Settings: Asked, LoadSettings: Asked, VoteSettings: Vote}


@pytest.mark.parametrize("kind", OPTIONS)
def test_every_setting_has_an_option_or_a_reason_for_none(kind: type) -> None:
    without = {name for of, name in NOT_ON_THE_COMMAND_LINE if of is kind}
    other_settings = {"stop"} if kind is Settings else set()
    optioned = names(OPTIONS[kind]) & names(kind) - other_settings
    assert optioned | without == names(kind)
    assert not optioned & without


@pytest.mark.parametrize("kind", OPTIONS)
def test_an_option_that_is_not_given_leaves_the_default_of_its_setting(kind: type) -> None:
    options = {field.name: field.default for field in fields(OPTIONS[kind])}
    hints = get_type_hints(OPTIONS[kind], include_extras=True)
    for field in fields(kind):
        if (kind, field.name) in NOT_ON_THE_COMMAND_LINE:
            continue
        assert options[field.name] is None
        [info] = hints[field.name].__metadata__
        if isinstance(field.default, bool):
            no = "--no-" if field.default else "--"
            assert info.default == no + field.name.replace("_", "-")
        elif field.default is not None:
            assert f"Default: {field.default}" in info.help


def test_what_was_said_is_sorted_and_the_rest_left_out() -> None:
    asked = Asked(temperature=0.0, loop_check=False, n_ctx=512)
    assert asked.settings == {"temperature": 0.0, "loop_check": False}
    assert asked.load == {"n_ctx": 512}
    assert [message["role"] for message in asked.messages("hi")] == ["user"]
    assert [message["role"] for message in Asked(system="Be brief.").messages("hi")] == [
        "system",
        "user",
    ]
    assert Vote(parallel="4", samples=3).changes == {"parallel": 4, "samples": 3}


def test_a_budget_above_the_context_is_refused_before_anything_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("minireason.engine.model.Model.__init__", None)
    with pytest.raises(BadSetting, match="thinking_budget=600: the context holds 512 tokens"):
        Asked(n_ctx=512, thinking_budget=600)
    assert Asked(model="tiny", thinking_budget=4000).model_name() == "tiny"
    with pytest.raises(BadSetting, match="thinking_budget=5000: the context holds 4096 tokens"):
        Asked(model="tiny", thinking_budget=5000).model_name()
    assert Asked(model="tiny", max_tokens=100_000).model_name() == "tiny", (
        "at most so many, if there is room"
    )


@pytest.mark.parametrize("command", ["ask", "solve", "chat", "batch", "eval"])
def test_help_has_every_shared_option_in_its_section(command: str) -> None:
    sections = minireason(command, "--help", env={"COLUMNS": "80"}).out.split("\n\n")
    by_heading = {section.split(":")[0]: section for section in sections}
    for heading, options in {
        "Options": "--model --system --offline --help",
        "Thinking": "--effort --thinking-budget --thinking-seconds --no-loop-check",
        "Sampling": "--temperature --top-p --seed --max-tokens",
        "Loading": "--ctx --threads --gpu-layers",
    }.items():
        for option in options.split():
            assert f"{option} " in by_heading[heading]
    assert max(len(line) for section in sections for line in section.splitlines()) <= 80


@pytest.mark.parametrize("command", ["ask", "solve", "chat"])
def test_shared_options_reach_the_model(command: str) -> None:
    arguments = (command, "--model", "tiny", "--threads", "1", "--effort", "none")
    result = minireason(*arguments, stdin=b"What is 2 + 2?\n")
    assert result.code == 0, result
    assert "2 + 2\n" not in result.out + result.err, "a thought begins by copying the sum"
    assert_one_sentence(
        minireason(*arguments, "--seed", "-1", stdin=b"hi\n"),
        2,
        "--seed -1: has to be a whole number",
    )


def test_a_group_is_one_value_for_its_command() -> None:
    seen: list[object] = []

    @expand
    def command(word: Annotated[str, typer.Argument()], *, asked: Asked, vote: Vote) -> int:
        seen.extend([word, asked, vote])
        return 0

    app = typer.Typer()
    app.command(cls=Sectioned)(command)
    result = CliRunner().invoke(app, ["hello", "--seed", "7", "-n", "3", "--no-loop-check"])
    assert result.exit_code == 0, result.output
    assert seen == ["hello", Asked(seed=7, loop_check=False), Vote(samples=3)]
