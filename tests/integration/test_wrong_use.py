"""What is asked wrongly is refused before anything runs, in one clear line."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import minireason
from minireason import BadSetting, Reasoner, UsageError

QUESTION = "What is 12 + 5?"


def test_wrong_settings_are_refused_before_anything_runs(tiny: Reasoner) -> None:
    with pytest.raises(BadSetting, match=r"did you mean temperature\?$"):
        tiny.stream(QUESTION, temprature=1)  # type: ignore[call-arg]
    with pytest.raises(BadSetting, match="n_ctx"):
        minireason.load("no-such-model", n_ctx=-5)
    with pytest.raises(BadSetting, match="4096"):
        minireason.load("tiny", n_ctx=5000)


@pytest.mark.parametrize(
    "act",
    [
        lambda model: model.ask(None),
        lambda model: model.ask(5),
        lambda model: model.ask(b"What is 5 + 8?"),
        lambda model: model.ask([None]),
        lambda model: model.ask(["What is 5 + 8?"]),
        lambda model: model.ask({"role": "user", "content": "What is 5 + 8?"}),
        lambda model: model.ask([{"role": "user"}]),
        lambda model: model.ask([{"role": [], "content": "x"}]),
        lambda model: model.ask(QUESTION, stop=None),
        lambda model: model.ask(QUESTION, effort=[]),
        lambda model: model.ask(QUESTION, temperature=10**400),
        lambda model: model.ask(QUESTION, schema={"const": float("nan")}),
        lambda model: model.stream(QUESTION, on_prefill=5),
        lambda model: model.count_tokens(None),
        lambda model: model.prefill(None),
        lambda model: model.prefill([5]),
        lambda model: model.prefill([], stopped=5),
        lambda model: model.solve(None),
        lambda model: model.solve([{"role": "user"}]),
        lambda model: model.solve([{"role": "user", "content": 5}]),
        lambda model: model.solve(QUESTION, samples="8"),
        lambda model: model.chat(system=5),
        lambda model: model.chat(read_ahead="yes"),
        lambda model: model.chat(temperature="hot"),
        lambda model: model.chat(temprature=1),
        lambda model: model.chat().send(None),
        lambda model: model.chat().send(b"x"),
        lambda model: model.chat().send([{"role": "user", "content": "x"}]),
        lambda model: model.chat().use("tiny"),
        lambda model: model.chat().save(5),
        lambda model: model.chat().load(None),
        lambda model: model.chat().save_to(5),
        lambda model: setattr(model.chat(), "system", b"Be kind."),
        lambda _: minireason.load(None),
        lambda _: minireason.load(5),
        lambda _: minireason.load("tiny", defaults=5),
        lambda _: minireason.load("tiny", defaults={"temperature": "hot"}),
        lambda _: minireason.load("tiny", on_progress=5),
        lambda _: minireason.pull(None),
        lambda _: minireason.pull("tiny", on_progress=5),
        lambda _: minireason.list_models(every_quant=5),
    ],
)
def test_wrong_types_are_usage_errors(tiny: Reasoner, act: Callable[[Reasoner], object]) -> None:
    with pytest.raises(UsageError) as caught:
        act(tiny)
    assert len(str(caught.value).splitlines()) == 1
