"""The backend that says what was written for it, as people who test their programs use it."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import minireason
from minireason import (
    AnswerDelta,
    BadSetting,
    ContextFull,
    Done,
    EngineError,
    Event,
    Message,
    Reasoner,
    Settings,
    ThinkingDelta,
    UsageError,
)
from minireason.backends.base import missing_of
from minireason.testing import ScriptedBackend, ScriptedReply

EXAMPLES = Path(minireason.__file__).parent.parent / "examples"
SUM = ScriptedReply(thinking="17 plus 25 is 42.", answer="It is \\boxed{42}.")
QUESTION = "What is 17 + 25?"


def test_a_reply_comes_in_pieces_and_adds_up() -> None:
    stream = Reasoner(ScriptedBackend([SUM])).stream(QUESTION)
    events: list[Event] = list(stream)
    assert events[:-1] == [
        *(ThinkingDelta(text) for text in ("17", " plus", " 25", " is", " 42.")),
        *(AnswerDelta(text) for text in ("It", " is", " \\boxed{42}.")),
    ]
    reply = stream.reply
    assert events[-1] == Done(reply)
    assert (reply.thinking, reply.answer) == (SUM.thinking, SUM.answer)
    assert (reply.boxed, reply.finish_reason, reply.thinking_end) == ("42", "stop", "natural")
    usage = reply.usage
    assert (usage.prompt_tokens, usage.thinking_tokens, usage.answer_tokens) == (6, 5, 3)
    assert stream.tokens == 8
    with pytest.raises(UsageError, match="iterated already"):
        iter(stream)


def test_written_pieces_are_the_tokens() -> None:
    stream = Reasoner(ScriptedBackend(ScriptedReply(answer=["one", "two ", ""]))).stream("?")
    assert [event.text for event in stream if isinstance(event, AnswerDelta)] == ["one", "two "]
    assert stream.tokens == 3


def test_replies_in_turn_and_their_end() -> None:
    reasoner = Reasoner(ScriptedBackend(["first", "second"]))
    assert [reasoner.ask("?").answer for _ in range(2)] == ["first", "second"]
    with pytest.raises(UsageError, match="at its end"):
        reasoner.ask("?")
    with pytest.raises(UsageError, match="ScriptedReply"):
        Reasoner(ScriptedBackend([5])).ask("?")  # type: ignore[list-item]


@pytest.mark.parametrize("script", [5, None, b"yes", {"What?": "yes"}])
def test_what_is_no_script_is_refused(script: Any) -> None:
    with pytest.raises(UsageError, match="A script is one reply, several, or a function"):
        ScriptedBackend(script)


@pytest.mark.parametrize("text", [5, None, ["one", 2]])
def test_what_is_no_text_of_a_reply_is_refused(text: Any) -> None:
    with pytest.raises(UsageError, match="The answer of a scripted reply is text"):
        ScriptedReply(answer=text)
    with pytest.raises(UsageError, match="The thinking of a scripted reply is text"):
        ScriptedReply(thinking=text)
    with pytest.raises(UsageError, match="The error of a scripted reply is an exception"):
        ScriptedReply(error="broken")  # type: ignore[arg-type]


def test_requests_are_recorded() -> None:
    backend = ScriptedBackend("yes", defaults=Settings(temperature=0.3))
    messages = [Message(role="system", content="Be kind."), Message(role="user", content="Well?")]
    Reasoner(backend).ask(messages, seed=7)
    (request,) = backend.requests
    assert list(request.messages) == messages
    assert (request.settings.temperature, request.settings.seed) == (0.3, 7)


def test_budgets_cut_as_documented() -> None:
    reasoner = Reasoner(ScriptedBackend(SUM))
    landed = reasoner.ask(QUESTION, thinking_budget=2, landing="Enough.")
    assert landed.thinking == "17 plus\n\nEnough."
    assert (landed.answer, landed.thinking_end) == (SUM.answer, "budget")
    assert (landed.usage.thinking_tokens, landed.usage.forced_tokens) == (2, 1)
    for skipped in (reasoner.ask(QUESTION, thinking=False), reasoner.ask(QUESTION, effort="none")):
        assert (skipped.thinking, skipped.thinking_end) == ("", "skipped")
        assert skipped.answer == SUM.answer
    short = reasoner.ask(QUESTION, max_tokens=6)
    assert (short.answer, short.finish_reason) == ("It", "length")
    unclosed = reasoner.ask(QUESTION, max_tokens=2)
    assert (unclosed.thinking, unclosed.thinking_end) == ("17 plus", "unclosed")
    stopped = reasoner.ask(QUESTION, stop=["\\boxed"])
    assert (stopped.answer, stopped.finish_reason) == ("It is", "stop")
    assert (stopped.stop_text, reasoner.ask(QUESTION).stop_text) == ("\\boxed", None)


def test_finish_thinking_and_cancel() -> None:
    reasoner = Reasoner(ScriptedBackend(SUM))
    stream = reasoner.stream(QUESTION)
    next(stream)
    assert stream.finish_thinking()
    assert not stream.finish_thinking()
    list(stream)
    assert stream.reply.thinking_end == "user"
    assert stream.reply.answer == SUM.answer
    cancelled = reasoner.stream(QUESTION)
    next(cancelled)
    cancelled.cancel()
    assert isinstance(list(cancelled)[-1], Done)
    assert (cancelled.reply.thinking, cancelled.reply.finish_reason) == ("17", "cancelled")


def test_closed_and_dropped_streams_are_over() -> None:
    backend = ScriptedBackend(SUM)
    reasoner = Reasoner(backend)
    with reasoner.stream(QUESTION) as stream:
        next(stream)
        with pytest.raises(UsageError, match="has not ended"):
            _ = stream.reply
        assert backend.running == 1
    assert stream.reply.finish_reason == "cancelled"
    dropped = reasoner.stream(QUESTION)
    assert backend.running == 1
    del dropped
    assert backend.running == 0


def test_errors_come_where_they_are_written() -> None:
    failing = ScriptedReply(answer="So it", error=EngineError("No memory."))
    backend = ScriptedBackend([failing, EngineError("Gone."), "fine"])
    stream = Reasoner(backend).stream("?")
    texts = []
    with pytest.raises(EngineError, match="No memory"):
        texts += [event.text for event in stream if isinstance(event, AnswerDelta)]
    assert stream.reply.answer == "So it"
    with pytest.raises(EngineError, match="Gone"):
        Reasoner(backend).ask("?")
    assert Reasoner(backend).ask("?").answer == "fine"


def test_a_prompt_has_its_words() -> None:
    reasoner = Reasoner(ScriptedBackend("ok", n_ctx=10))
    assert reasoner.count_tokens("one two three") == 4
    with pytest.raises(ContextFull):
        reasoner.ask("word " * 9)
    with pytest.raises(UsageError, match="no question"):
        reasoner.ask(" ")
    assert reasoner.ask("one two three", max_tokens=500).answer == "ok"


def test_structured_answers_are_parsed() -> None:
    reasoner = Reasoner(ScriptedBackend(['{"a": 1}', '{"a": "x"}']))
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert reasoner.ask("?", schema=schema).parsed == {"a": 1}
    assert reasoner.ask("?", schema=schema).parsed is None


def test_what_is_written_comes_behind_what_is_begun() -> None:
    backend = ScriptedBackend(SUM)
    reasoner = Reasoner(backend)
    asked = Message(role="user", content=QUESTION)
    thought = reasoner.ask([asked, Message(role="assistant", content="", thinking="Let me see:")])
    assert (thought.thinking, thought.answer) == (SUM.thinking, SUM.answer)
    assert thought.usage.prompt_tokens == 6 + 4
    said = [asked, Message(role="assistant", content="Well, it is", thinking="Hm.")]
    answer = reasoner.ask(said)
    assert (answer.thinking, answer.answer) == ("", SUM.answer)
    assert (answer.thinking_end, answer.usage.prompt_tokens) == ("skipped", 6 + 5)
    assert list(backend.requests[-1].messages) == said
    with pytest.raises(BadSetting, match="begun already"):
        reasoner.ask(said, choices=["yes", "no"])
    plain = Reasoner(ScriptedBackend(SUM, thinks=False))
    assert plain.ask(said).answer == SUM.answer
    with pytest.raises(UsageError, match="does not think"):
        plain.count_tokens([asked, Message(role="assistant", content="", thinking="Hm.")])


def test_a_raw_prompt_gets_the_answer_alone() -> None:
    backend = ScriptedBackend(lambda messages: f"{messages[-1]['content']} it is.")
    reply = Reasoner(backend).complete("And so", parse_special=True)
    assert (reply.answer, reply.thinking_end) == ("And so it is.", None)
    assert reply.usage.prompt_tokens == 2
    assert (backend.requests[0].messages, backend.requests[0].prompt) == ((), "And so")
    reply = Reasoner(ScriptedBackend(SUM)).complete("And so", stop=["\\boxed"])
    assert (reply.thinking, reply.answer) == ("", "It is")
    with pytest.raises(ContextFull):
        Reasoner(ScriptedBackend("yes", n_ctx=10)).complete("word " * 10)


def test_a_model_that_only_answers() -> None:
    reply = Reasoner(ScriptedBackend(SUM, thinks=False)).ask(QUESTION)
    assert (reply.thinking, reply.thinking_end, reply.answer) == ("", None, SUM.answer)


def test_solve_on_written_replies() -> None:
    script = [
        ScriptedReply(answer=f"\\boxed{{{answer}}}", confidence=confidence)
        for answer, confidence in (("41", 5.0), ("42", 1.0), ("42", 2.0), ("43", 9.0))
    ]
    backend = ScriptedBackend(script)
    solution = Reasoner(backend).solve(QUESTION, samples=4, parallel=2, stop="none")
    assert (solution.answer, solution.agreement, solution.best) == ("42", 0.5, 2)
    assert (solution.tokens.generated, solution.tokens.prompt) == (4, 6 + 12)
    assert len({request.settings.seed for request in backend.requests}) == 4
    assert all(not request.options.cache_reply for request in backend.requests)


def test_a_chat_on_written_replies() -> None:
    backend = ScriptedBackend(["Hello!", "42"])
    chat = Reasoner(backend).chat(system="Be kind.")
    assert chat.send("Hi").answer == "Hello!"
    assert chat.send(QUESTION).answer == "42"
    assert [message["content"] for message in backend.requests[-1].messages] == [
        "Be kind.",
        "Hi",
        "Hello!",
        QUESTION,
    ]
    assert chat.prefill() == 15
    assert len(backend.prefilled[0]) == 5


def test_closing_it() -> None:
    reasoner = Reasoner(ScriptedBackend("yes"))
    stream = reasoner.stream("?")
    reasoner.close()
    with pytest.raises(EngineError, match="closed"):
        next(stream)
    with pytest.raises(EngineError, match="closed"):
        reasoner.ask("?")


def test_it_is_a_backend() -> None:
    assert missing_of(ScriptedBackend("yes")) == []
    assert repr(Reasoner(ScriptedBackend("yes"))) == (
        "<Reasoner scripted: thinks, 4,096 tokens of context>"
    )
    with pytest.raises(UsageError, match="stands on a backend"):
        Reasoner("tiny")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no plan"):
        _ = Reasoner(ScriptedBackend("yes")).plan


def test_what_a_backend_lacks_is_said() -> None:
    class Half:
        name, thinks, bare_questions, defaults = "half", False, False, Settings()
        n_ctx, max_parallel = 4096, 1
        stream = check = room_for = release = close = ScriptedBackend.stream

    with pytest.raises(UsageError, match="has no count_tokens, prefill; "):
        Reasoner(Half())  # type: ignore[arg-type]


def test_a_backend_need_not_be_hashable() -> None:
    class Plain(ScriptedBackend):
        __hash__ = None  # type: ignore[assignment]

    model = Reasoner(Plain(ScriptedReply(thinking="Well. " * 500, answer="\\boxed{7}")))
    for _ in range(2):
        assert model.solve("?", samples=16, stop="none").answer == "7"


def test_a_backend_need_not_have_weak_references() -> None:
    class Slotted:
        __slots__ = ("_own",)

        def __init__(self, own: ScriptedBackend) -> None:
            self._own = own

        def __getattr__(self, name: str) -> object:
            return getattr(self._own, name)

    own = ScriptedBackend(ScriptedReply(thinking="Well. " * 500, answer="\\boxed{7}"))
    model = Reasoner(Slotted(own))  # type: ignore[arg-type]
    assert model.solve("?", samples=16, stop="none").answer == "7"


def test_it_needs_no_llama_cpp() -> None:
    code = "import sys, minireason.testing; assert 'llama_cpp' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


EXAMPLE = runpy.run_path(str(EXAMPLES / "testing_a_program.py"))


@pytest.mark.parametrize("name", [name for name in EXAMPLE if name.startswith("test_")])
def test_the_example(name: str) -> None:
    EXAMPLE[name]()
