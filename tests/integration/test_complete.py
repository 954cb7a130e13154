"""Raw prompts: no template, no thought, with the real library underneath."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import minireason
from minireason import BadSetting, ContextFull, Reasoner, Settings, UsageError
from minireason.testing import ScriptedBackend
from tests.integration.structured import SCHEMA, assert_valid
from tests.local import local
from tests.scripted import Scripted

QUESTION = "What is 347 + 586?"
RAW = f"<｜User｜>{QUESTION}<｜Assistant｜><think>\n"
CALM: dict[str, Any] = {"temperature": 0, "max_tokens": 20}


def ids(reasoner: Reasoner, prompt: str, **more: Any) -> list[int]:
    """The prompt of a raw stream."""
    with reasoner.complete_stream(prompt, **more) as stream:
        return list(stream.token_ids)


def test_a_written_out_template_gives_the_whole_reply_as_text(tiny: Reasoner) -> None:
    asked = tiny.stream(QUESTION, temperature=0)
    list(asked)
    reply = tiny.complete(RAW, parse_special=True, temperature=0)
    usual = asked.reply
    assert reply.answer == f"{usual.thinking}\n</think>\n\n{usual.answer}"
    assert (reply.thinking, reply.thinking_end, reply.finish_reason) == ("", None, "stop")
    usage = reply.usage
    assert (usage.prompt_tokens, usage.thinking_tokens) == (usual.usage.prompt_tokens, 0)
    assert usage.answer_tokens == usual.usage.thinking_tokens + usual.usage.answer_tokens
    assert ids(tiny, RAW, parse_special=True) == list(asked.token_ids)[: usage.prompt_tokens]


def test_there_is_one_bos_and_no_other_control_token(tiny: Reasoner) -> None:
    vocabulary = local(tiny).model.vocabulary
    special, bos = set(vocabulary.special.values()), vocabulary.bos
    literal = vocabulary.piece(bos or 0).decode()
    for prompt in (RAW, literal + RAW, ""):
        first, *rest = ids(tiny, prompt)
        assert first == bos
        assert not special.intersection(rest)
        assert b"".join(map(vocabulary.piece, rest)).decode() == prompt
    written = ids(tiny, literal + RAW, parse_special=True)
    assert written == ids(tiny, RAW, parse_special=True)
    assert written.count(bos or 0) == 1


def test_a_vocabulary_without_bos_needs_a_prompt(answers_only: Reasoner) -> None:
    vocabulary = local(answers_only).model.vocabulary
    prompt = "The capital of France is"
    assert ids(answers_only, prompt) == vocabulary.tokenize(prompt, parse_special=False)
    assert "Paris" in answers_only.complete(prompt, **CALM).answer
    with pytest.raises(UsageError, match="must not be empty"):
        answers_only.complete("")


@pytest.mark.parametrize("said", ["</think> so \n", " <think>a</think>\n", "\n\n", "é "])
def test_all_that_comes_is_text(tiny: Reasoner, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    vocabulary = local(tiny).model.vocabulary
    script = [*vocabulary.tokenize(said, parse_special=True), min(vocabulary.eog)]
    Scripted(tiny, monkeypatch, script)
    stream = tiny.complete_stream("So")
    shown = "".join(event.text for event in stream if isinstance(event, minireason.AnswerDelta))
    assert shown == stream.reply.answer == said
    assert stream.reply.usage.forced_tokens == 0


def test_settings_of_the_sampler_count(tiny: Reasoner) -> None:
    hot = {tiny.complete(RAW, temperature=1.5, seed=7, max_tokens=40).answer for _ in range(2)}
    assert len(hot) == 1
    cut = tiny.complete(RAW, regex="[a-z]{9}", max_tokens=5)
    assert (cut.finish_reason, len(cut.answer), cut.parsed) == ("length", 5, None)
    whole = tiny.complete(RAW, parse_special=True, temperature=0).answer
    stopped = tiny.complete(RAW, parse_special=True, temperature=0, stop=["</think>"])
    assert (stopped.answer, stopped.finish_reason) == (whole.partition("</think>")[0], "stop")
    assert_valid(tiny.complete("JSON:", schema=SCHEMA, temperature=1.0, seed=1))


def test_what_was_completed_is_cached(tiny: Reasoner) -> None:
    first = tiny.complete(RAW, parse_special=True, **CALM)
    again = tiny.complete(RAW + first.answer, parse_special=True, **CALM)
    usage = first.usage
    assert again.usage.cached_tokens >= usage.prompt_tokens + usage.answer_tokens - 2


@pytest.mark.parametrize("name", ["effort", "thinking_budget", "thinking_seconds"])
def test_a_thought_cannot_be_limited(tiny: Reasoner, name: str) -> None:
    value = "low" if name == "effort" else 5
    with pytest.raises(BadSetting, match="no thought") as caught:
        tiny.complete(RAW, **{name: value})  # type: ignore[arg-type]
    assert caught.value.name == name


def test_what_the_defaults_say_of_thinking_counts_for_nothing(tiny_path: Path) -> None:
    with minireason.load(tiny_path, n_threads=1, defaults={"thinking_budget": 100}) as reasoner:
        assert reasoner.complete(RAW, **CALM).usage.answer_tokens == 20


@pytest.mark.parametrize("length", [4094, 4200, 90_000])
def test_a_prompt_that_is_too_long(tiny: Reasoner, length: int) -> None:
    if length == 4094:
        assert tiny.complete("a" * length, temperature=0).usage.answer_tokens <= 1
        return
    with pytest.raises(ContextFull, match="most that this model was trained for"):
        tiny.complete("a" * length)
    assert not local(tiny).scheduler.sequences


@pytest.mark.parametrize(
    "act",
    [
        lambda model: model.complete(None),
        lambda model: model.complete([QUESTION]),
        lambda model: model.complete("\ud800"),
        lambda model: model.complete(RAW, parse_special=1),
        lambda model: model.complete(RAW, temprature=1),
    ],
)
def test_wrong_types_are_usage_errors(tiny: Reasoner, act: Any) -> None:
    with pytest.raises(UsageError) as caught:
        act(tiny)
    assert len(str(caught.value).splitlines()) == 1


def test_a_backend_that_takes_messages_only() -> None:
    class Plain:
        """What a backend has to have, and no more."""

        name, thinks, bare_questions, defaults = "plain", False, True, Settings()
        n_ctx, max_parallel = 4096, 1
        stream = check = room_for = release = ScriptedBackend.stream
        close = count_tokens = prefill = ScriptedBackend.stream

    with pytest.raises(UsageError, match="plain takes no raw prompts"):
        Reasoner(Plain()).complete(RAW)  # type: ignore[arg-type]
