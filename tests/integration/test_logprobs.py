"""Log-probabilities of an answer's tokens, with the real library underneath."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minireason import BadSetting, LogprobStream, Reasoner, UsageError
from minireason.engine.library import C
from minireason.events import AnswerDelta, Event
from minireason.testing import ScriptedBackend, ScriptedReply
from tests.always import AlwaysDraft
from tests.integration.structured import SCHEMA
from tests.local import local
from tests.scripted import Scripted

QUESTION = "What is 12 + 5?"


class Watched:
    """Each token that a model sampled, with all raw log-probabilities, read beside the engine."""

    def __init__(self, reasoner: Reasoner, monkeypatch: pytest.MonkeyPatch) -> None:
        self.draws: list[tuple[int, np.ndarray]] = []
        self._context = context = local(reasoner).context
        self._n_vocab, self._sample = local(reasoner).model.vocabulary.n_vocab, context.sample
        monkeypatch.setattr(context, "sample", self._watch)

    def _watch(self, sampler: Any, row: int, draw: int, mask: Any = None) -> int:
        pointer = C.llama_get_logits_ith(self._context.owner.pointer, row)
        logits = np.ctypeslib.as_array(pointer, (self._n_vocab,)).astype(np.float64)
        token = self._sample(sampler, row, draw, mask)
        shifted = logits - logits.max()
        self.draws.append((token, shifted - np.log(np.exp(shifted).sum())))
        return token


def read(stream: LogprobStream) -> None:
    """Read a stream to its end, and check at each step what goes with what."""
    shown, seen = "", 0
    while not stream.ended:
        events: list[Event] = stream.poll()
        shown += "".join(event.text for event in events if isinstance(event, AnswerDelta))
        assert len(stream.logprobs) >= seen
        if len(stream.logprobs) > seen and not stream.ended:
            assert stream.logprobs[-1].text_end == len(shown)
        seen = len(stream.logprobs)
    ends = [one.text_end for one in stream.logprobs]
    assert ends == sorted(ends)
    assert ends[-1:] <= [len(stream.reply.answer)]


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 0},
        {"temperature": 1.5, "seed": 2, "thinking_budget": 30},
        {"temperature": 1.0, "seed": 3, "schema": SCHEMA, "thinking_budget": 20},
        {"temperature": 1.0, "seed": 4, "choices": ["even", "odd"], "thinking": False},
        {"temperature": 0, "stop": ["\\boxed"]},
        {"temperature": 0, "max_tokens": 60},
    ],
    ids=str,
)
@pytest.mark.parametrize("drafted", [False, True])
def test_they_are_the_plain_formula(
    tiny: Reasoner, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], drafted: bool
) -> None:
    backend = local(tiny)
    if drafted:
        monkeypatch.setattr(backend.scheduler.speculation, "gain", AlwaysDraft())
    watched = Watched(tiny, monkeypatch)
    with tiny.stream(QUESTION, logprobs=3, **settings) as stream:
        read(stream)
    told = stream.logprobs
    assert len(told) == stream.reply.usage.answer_tokens > 0
    vocabulary = backend.model.vocabulary
    piece, draws = vocabulary.piece, watched.draws
    if draws[-1][0] in vocabulary.eog:
        draws.pop()
    answer = draws[-len(told) :]
    for one, (token, exact) in zip(told, answer, strict=True):
        assert one.token == piece(token)
        assert one.logprob == pytest.approx(exact[token], abs=1e-4)
        best = np.argsort(-exact, kind="stable")[:3]
        assert [other for other, _ in one.top] == [piece(int(index)) for index in best]
        assert [logprob for _, logprob in one.top] == pytest.approx(exact[best], abs=1e-4)
    text = b"".join(one.token for one in told).decode("utf-8", "replace")
    assert text.strip().startswith(stream.reply.answer)


@pytest.mark.parametrize("seed", range(4))
def test_a_model_that_says_anything(anything: Reasoner, seed: int) -> None:
    """Its tokens end within characters."""
    limits: dict[str, Any] = {"thinking_budget": 10, "max_tokens": 90, "stop": ("e", "a")}
    with anything.stream(QUESTION, logprobs=0, temperature=1.0, seed=seed, **limits) as stream:
        read(stream)
    assert len(stream.logprobs) == stream.reply.usage.answer_tokens
    assert not any(one.top for one in stream.logprobs)


def test_a_tag_that_is_refused_has_none(tiny: Reasoner, monkeypatch: pytest.MonkeyPatch) -> None:
    Scripted(tiny, monkeypatch, "x</think></think>")
    stream = tiny.stream(QUESTION, logprobs=1, temperature=0)
    assert stream.finish_thinking()
    read(stream)
    assert stream.reply.answer.startswith("The answer is")
    assert len(stream.logprobs) == stream.reply.usage.answer_tokens
    assert not any(b"think" in one.token for one in stream.logprobs)


def test_side_by_side(tiny: Reasoner) -> None:
    """Each has its own, and nobody else's are told."""
    questions = [QUESTION, "What is 12 + 5?"]
    alone = []
    for question in questions:
        with tiny.stream(question, logprobs=2, temperature=0) as stream:
            read(stream)
        alone.append(list(stream.logprobs))
    streams = [tiny.stream(question, logprobs=2, temperature=0) for question in questions]
    plain = tiny.stream("What is 20 + 22?", temperature=0)
    while not all(stream.ended for stream in [*streams, plain]):
        for stream in [*streams, plain]:
            stream.poll()
    for stream, wanted in zip(streams, alone, strict=True):
        assert [one.token for one in stream.logprobs] == [one.token for one in wanted]
        assert [one.logprob for one in stream.logprobs] == pytest.approx(
            [one.logprob for one in wanted], abs=0.5
        )
    assert not plain.logprobs


def test_they_cost_nothing_where_nobody_asks(
    tiny: Reasoner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local(tiny).context, "logits", None)
    assert tiny.ask(QUESTION, temperature=0).boxed
    with pytest.raises(TypeError), tiny.stream(QUESTION, logprobs=1) as stream:
        list(stream)


def test_a_raw_prompt_has_them_from_its_first_token(tiny: Reasoner) -> None:
    with tiny.complete_stream("12 + ", logprobs=1, temperature=0, max_tokens=9) as stream:
        read(stream)
    assert b"".join(one.token for one in stream.logprobs).decode() == stream.reply.answer
    for one in stream.logprobs:
        assert one.top == ((one.token, one.logprob),), "a greedy token is the likeliest"


@pytest.mark.parametrize("count", [-1, 21, 1.5, True, "2"])
def test_how_many_there_may_be(tiny: Reasoner, count: Any) -> None:
    with pytest.raises(BadSetting, match="from 0 to 20"):
        tiny.stream(QUESTION, logprobs=count)
    with pytest.raises(BadSetting, match="from 0 to 20"):
        tiny.complete_stream(QUESTION, logprobs=count)


def test_written_replies() -> None:
    reasoner = Reasoner(ScriptedBackend(ScriptedReply(answer="It is 42.", logprob=-0.5)))
    stream = reasoner.stream("?", logprobs=2, stop=["42"])
    read(stream)
    told = [(one.token, one.logprob, one.top, one.text_end) for one in stream.logprobs]
    assert told == [
        (b"It", -0.5, ((b"It", -0.5),), 2),
        (b" is", -0.5, ((b" is", -0.5),), 5),
        (b" 42.", -0.5, ((b" 42.", -0.5),), 5),
    ]
    assert not reasoner.stream("?").logprobs  # type: ignore[attr-defined]


def test_a_backend_that_cannot_tell() -> None:
    class Plain:
        """What a stream has to have, and no more."""

        def __init__(self) -> None:
            self.closed = False

        def close(self) -> None:
            self.closed = True

    class Backend(ScriptedBackend):
        def stream(self, *_: Any) -> Any:
            return stream

    stream = Plain()
    with pytest.raises(UsageError, match="cannot tell log-probabilities"):
        Reasoner(Backend("yes")).stream("?", logprobs=1)
    assert stream.closed
    assert Reasoner(Backend("yes")).stream("?") is stream  # type: ignore[comparison-overlap]
