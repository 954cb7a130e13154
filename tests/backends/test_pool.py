"""The loop that keeps replies running."""

from __future__ import annotations

import pytest

from minireason import Done, Event, Reasoner, Settings, UsageError
from minireason.backends.base import StreamOptions
from minireason.backends.concurrency import FixedSize
from minireason.backends.pool import Pool
from minireason.backends.scripted import ScriptedBackend
from minireason.backends.scripted_stream import ScriptedStream
from minireason.messages import as_messages
from tests.interrupted import every_line

TEXTS = ["a b c d e", "f", "g h i", "j k", "l m n o", "p"]


class Run:
    """A pool over a scripted backend, and what it said."""

    def __init__(self, parallel: int) -> None:
        self.backend = ScriptedBackend(lambda messages: messages[0]["content"])
        self.pool = Pool(TEXTS, FixedSize(parallel))
        self.texts = dict.fromkeys(TEXTS, "")
        self.ended: list[str] = []
        self.most = 0

    def start(self, text: str) -> ScriptedStream:
        return self.backend.stream(as_messages(text), Settings(), StreamOptions())

    def round(self) -> None:
        """One round, in acts that may be made again."""
        pool = self.pool
        self.read()
        for active in list(pool.active):
            if active.stream.ended:
                if active.job not in self.ended:
                    self.ended.append(active.job)
                pool.remove(active)
        pool.fill(self.start)
        self.most = max(self.most, self.backend.running)
        for _ in pool.turn():
            pass

    def read(self) -> None:
        while self.pool.events:
            active, event = self.pool.events[0]
            text = "" if isinstance(event, Done) else event.text
            told = {**self.texts, active.job: self.texts[active.job] + text}
            self.texts, _ = told, self.pool.events.popleft()

    def whole(self) -> None:
        while self.pool.busy:
            self.round()


def test_places_are_refilled_as_soon_as_they_are_free() -> None:
    run = Run(2)
    run.whole()
    assert run.texts == {text: text for text in TEXTS}
    assert sorted(run.ended) == sorted(TEXTS)
    assert run.ended[0] == "f", "the others need not wait for the longest"
    assert run.most == 2
    assert run.backend.running == 0


def test_it_may_be_kept_from_starting_more() -> None:
    run = Run(4)
    run.pool.fill(run.start, lambda: len(run.pool.active) < 3)
    assert [active.job for active in run.pool.active] == TEXTS[:3]
    assert list(run.pool.waiting) == TEXTS[3:]


def test_closing_ends_what_runs() -> None:
    run = Run(3)
    run.round()
    assert run.pool.tokens == 3
    run.pool.close()
    assert (run.pool.busy, run.backend.running) == (False, 0)


def test_an_interruption_at_any_line_loses_no_job_and_no_event() -> None:
    def whole(interrupted: object) -> Run:
        run = Run(3)
        while run.pool.busy:
            interrupted(run.round)
        return run

    tried = 0
    for run in every_line("backends/pool.py", whole):
        assert run.texts == {text: text for text in TEXTS}
        assert sorted(run.ended) == sorted(TEXTS)
        assert run.backend.running == 0
        assert len(run.backend.requests) in (len(TEXTS), len(TEXTS) + 1), (
            "a stream whose job was not noted yet is opened again"
        )
        tried += 1
    assert tried > 30


def test_a_model_that_cannot_be_used_now_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a signal handler in the middle of a step: a vote would ask for ever."""

    def poll(_stream: ScriptedStream) -> list[Event]:
        raise UsageError("The model is in the middle of a step.")

    monkeypatch.setattr(ScriptedStream, "poll", poll)
    vote = Reasoner(ScriptedBackend("7")).solve_stream("?", samples=2)
    with vote, pytest.raises(UsageError, match="middle of a step"):
        list(vote)
