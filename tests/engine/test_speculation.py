"""Drafts in the loop: the same tokens as without, whatever was drafted."""

from __future__ import annotations

from array import array
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minireason.engine.base import END, Mask, Step, all_but
from minireason.engine.logprobs import RawLogits
from minireason.engine.scheduler import Scheduler
from minireason.engine.sequence import Sequence
from tests.always import AlwaysDraft
from tests.engine.fake import FakeRunner, ListHandler, room
from tests.interrupted import Act, every_line


class GuessDrafter:
    """Drafts what it is told, always."""

    def __init__(self, guesses: list[list[int]]) -> None:
        self.guesses, self.accepted = guesses, list[int]()
        self.kept: list[int] = []

    def chances(self, tokens: list[int], most: int) -> list[float]:
        return [1.0] * most

    def propose(self, tokens: list[int], count: int) -> list[int]:
        """The next guess: how far each token is from the right one."""
        guess = self.guesses.pop(0) if self.guesses else []
        return [tokens[-1] + 1 + ahead + wrong for ahead, wrong in enumerate(guess)][:count]

    def accept(self, count: int) -> None:
        self.accepted.append(count)

    def rewind(self, keep: int) -> None:
        self.kept.append(keep)

    def reset(self) -> None:
        pass


class ScriptedHandler(ListHandler):
    """What becomes of each draw is written down."""

    def __init__(self, limit: int, steps: dict[int, tuple[str, int]]) -> None:
        super().__init__(limit)
        self.script = steps

    def _decide(self, token: int) -> Step:
        kind, extra = self.script.get(len(self.steps), ("", 0))
        if len(self.steps) >= self.limit:
            return END
        if kind == "drop" and len(self.steps) > extra:
            return Step([token + 5], drop=extra)
        if kind == "force":
            return Step([token, 500, 501])
        if kind == "mask":
            return Step([token], mask=all_but(3, 64))
        if kind == "end":
            return END
        return Step([token])


def generate(
    steps: dict[int, tuple[str, int]], guesses: list[list[int]] | None, slot_tokens: int = 128
) -> tuple[list[int], list[float], list[Mask | None], FakeRunner]:
    runner = FakeRunner(n_batch=16, slot_tokens=slot_tokens)
    scheduler = Scheduler(runner, room())
    scheduler.speculation.gain = AlwaysDraft()
    handler = ScriptedHandler(30, steps)
    sequence = Sequence([7], None, handler)
    sequence.confidences = array("f")
    if guesses is not None:
        sequence.drafter = GuessDrafter(guesses)
    scheduler.add(sequence)
    while scheduler.step():
        claimed = sequence.slot.cached if sequence.slot else None
        if claimed is not None:
            assert runner.tokens[0] == claimed == sequence.tokens[: len(claimed)]
    return (
        sequence.tokens,
        list(sequence.confidences or ()),
        [m is None for m in runner.masks],
        runner,
    )


STEPS = st.dictionaries(
    st.integers(0, 29),
    st.sampled_from([("drop", 1), ("drop", 2), ("force", 0), ("mask", 0), ("end", 0)]),
    max_size=6,
)
GUESSES = st.lists(st.lists(st.sampled_from([0, 0, 0, 0, 1]), max_size=7), max_size=30)


@settings(max_examples=300)
@given(STEPS, GUESSES)
def test_drafts_change_nothing(steps: dict[int, tuple[str, int]], guesses: list[list[int]]) -> None:
    plain, drafted = generate(steps, None), generate(steps, guesses)
    assert drafted[:3] == plain[:3]


def test_right_drafts_save_decodes() -> None:
    plain, drafted = generate({}, None)[3], generate({}, [[0] * 7] * 30)[3]
    assert len(drafted.decodes) * 4 < len(plain.decodes)
    assert max(rows for _, rows in drafted.decodes) == 8


class AskingHandler(ScriptedHandler):
    """Asks for the log-probability of each token that it decides about."""

    def __init__(self, limit: int, steps: dict[int, tuple[str, int]], raw: RawLogits) -> None:
        super().__init__(limit, steps)
        self.raw, self.likeliest = raw, list[bool]()

    def _decide(self, token: int) -> Step:
        ((best, logprob),) = self.raw.logprobs(token).top
        self.likeliest.append(best == token and -3 < logprob < -2)
        return super()._decide(token)


@settings(max_examples=100)
@given(STEPS, GUESSES)
def test_what_is_kept_is_of_the_token_at_hand(
    steps: dict[int, tuple[str, int]], guesses: list[list[int]]
) -> None:
    for handler in asked(steps, guesses, lambda act: act()):
        assert handler.likeliest
        assert all(handler.likeliest)


def asked(
    steps: dict[int, tuple[str, int]], guesses: list[list[int]], do: Callable[[Act], object]
) -> list[AskingHandler]:
    """What handlers got that ask for log-probabilities, with drafts and without."""
    handlers = []
    for drafter in (None, GuessDrafter(guesses)):
        scheduler = Scheduler(FakeRunner(n_batch=16, slot_tokens=128), room())
        scheduler.speculation.gain = AlwaysDraft()
        raw = RawLogits(1)
        handlers.append(AskingHandler(30, steps, raw))
        sequence = Sequence([7], None, handlers[-1])
        sequence.raw_logits, sequence.drafter = raw, drafter
        scheduler.add(sequence)
        for _ in range(40):
            do(scheduler.step)
    return handlers


@pytest.mark.parametrize("file", ["engine/postprocess.py", "engine/logprobs.py"])
def test_what_is_kept_after_an_interruption_is_of_the_token_at_hand(file: str) -> None:
    def scenario(do: Callable[[Act], object]) -> list[AskingHandler]:
        return asked({4: ("drop", 2), 9: ("force", 0)}, [[0, 0, 1, 0], [0, 0, 0]] * 20, do)

    for handlers in every_line(file, scenario):
        assert all(all(handler.likeliest) and handler.likeliest for handler in handlers)


@pytest.mark.parametrize(
    "file", ["engine/scheduler.py", "engine/postprocess.py", "engine/speculation.py"]
)
def test_an_interruption_at_any_line_changes_nothing(file: str) -> None:
    wanted = generate({4: ("drop", 2), 9: ("force", 0)}, None)[0]

    def scenario(do: Callable[[Act], object]) -> list[int]:
        runner = FakeRunner(n_batch=16, slot_tokens=128)
        scheduler = Scheduler(runner, room())
        scheduler.speculation.gain = AlwaysDraft()
        handler = ScriptedHandler(30, {4: ("drop", 2), 9: ("force", 0)})
        sequence = Sequence([7], None, handler)
        sequence.drafter = GuessDrafter([[0, 0, 1, 0], [0, 0, 0]] * 20)
        scheduler.add(sequence)
        for _ in range(100):
            do(scheduler.step)
        return sequence.tokens

    for tokens in every_line(file, scenario):
        assert tokens == wanted
