"""When a thought ends, on made-up tokens: one a byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.reasoning import budget as module
from minireason.reasoning.budget import Budget, Cut, Limits
from minireason.reasoning.landing import GRACE_TOKENS, Landing, answer_reserve, grace
from minireason.reasoning.loops import LoopDetector
from minireason.reasoning.text import Utf8

CLOSE = [1000, 1001]


def encode(text: str) -> list[int]:
    return list(text.encode())


def landing(message: str = "Enough.", box: bool = False) -> Landing:
    return Landing(encode, CLOSE, message, box=box)


def run(text: str, limits: Limits, loops: bool = False) -> tuple[str, Cut | None]:
    """What of the text becomes the thought, and how it was cut."""

    def piece(token: int) -> bytes:
        return bytes([token])

    budget = Budget(limits, landing(), piece, LoopDetector(piece) if loops else None)
    utf8, taken = Utf8(), bytearray()
    for token in text.encode():
        if cut := budget.cut(token, utf8.unfinished_bytes):
            del taken[len(taken) - cut.back :]
            return taken.decode(), cut
        budget.feed(token)
        taken.append(token)
        utf8.feed(bytes([token]))
    return taken.decode(), None


@pytest.mark.parametrize(
    ("text", "limit", "wanted"),
    [
        ("0123456789abcdef", 40, None),
        ("one two three four five six seven eight", 12, "one two three f"),
        ("one two thr\nfour five six", 12, "one two thr\n"),
        ("one two three. four five six", 12, "one two three."),
        ("one two 3.14159 four five six", 12, "one two 3.14159"),
        ("one two ééééééééé", 12, "one two ééé"),
        ("no grace", 2, "no"),
        ("é" * 8, 1, ""),
    ],
)
def test_where_a_thought_is_cut(text: str, limit: int, wanted: str | None) -> None:
    thought, cut = run(text, Limits(limit))
    assert thought == (text if wanted is None else wanted)
    assert (cut.end if cut else None) == (None if wanted is None else "budget")


@given(st.text(max_size=200), st.integers(0, 150))
def test_the_budget_is_kept_within_the_grace(text: str, limit: int) -> None:
    thought, cut = run(text, Limits(limit))
    size, back = len(thought.encode()), cut.back if cut else 0
    assert text.startswith(thought)
    assert size + back <= limit + grace(limit), "what is taken back was generated too"
    assert back < 4, "no more than the beginning of a character"
    assert (cut is None) == (thought == text)
    assert cut is None or size + back >= limit
    assert len(text.encode()) > limit or cut is None


def test_bytes_that_never_make_a_character_do_not_hold_it_up() -> None:
    budget = Budget(Limits(1000), landing(), lambda token: bytes([token]))
    budget.asked = True
    assert [budget.cut(0xE2, unfinished=1) for _ in range(5)] == [None] * 4 + [Cut("user", 1)]


def test_what_is_taken_back_is_spent_all_the_same() -> None:
    budget = Budget(Limits(3), landing(), lambda token: bytes([token]))
    for _ in range(3):
        assert budget.cut(65) is None
        budget.feed(65)
    budget.rewind(2)
    assert budget.cut(65) == Cut("budget")


def test_what_comes_before_the_thought_is_spent_too() -> None:
    budget = Budget(Limits(2), landing(), lambda token: bytes([token]))
    budget.feed_unopened()
    assert not budget.used_up
    budget.feed_unopened()
    assert budget.used_up
    assert budget.cut(65) == Cut("budget")


def test_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    budget = Budget(Limits(1000, seconds=5.0), landing(), lambda token: bytes([token]))
    for _ in range(10):
        assert budget.cut(65) is None
        budget.feed(65)
        now[0] += 0.5
    taken = 0
    while budget.cut(65) is None:
        budget.feed(65)
        taken += 1
    assert 0 < taken <= GRACE_TOKENS


def test_asked_for_at_once_but_not_inside_a_character() -> None:
    budget = Budget(Limits(1000), landing(), lambda token: bytes([token]))
    budget.feed(65)
    budget.asked = True
    assert budget.cut(65, unfinished=1) is None
    assert budget.cut(65) == Cut("user")


def test_a_loop_is_taken_back_to_the_end_of_a_line() -> None:
    start, round_ = (
        "First I add them.\nThen I look again.\n",
        "Wait, is that right? Let me see it once more.\n",
    )
    thought, cut = run(start + round_ * 40, Limits(10_000), loops=True)
    assert cut
    assert cut.end == "loop"
    assert (start + round_).startswith(thought)
    assert thought.startswith(start)
    assert thought.endswith("\n")


def test_a_loop_without_lines_is_taken_back_to_a_character() -> None:
    thought, cut = run("漢字かな" * 200, Limits(10_000), loops=True)
    assert cut
    assert ("漢字かな" * 2).startswith(thought)


def test_a_closing_tag_is_refused_once() -> None:
    budget = Budget(Limits(100, min_tokens=3), landing(), lambda token: bytes([token]))
    budget.feed(65)
    assert (budget.refuses(), budget.refuses()) == (True, False)
    late = Budget(Limits(100, min_tokens=3), landing(), lambda token: bytes([token]))
    for _ in range(3):
        late.feed(65)
    assert not late.refuses()


def test_what_is_forced() -> None:
    assert landing().ids(after_line=False) == encode("\n\nEnough.\n") + CLOSE
    assert landing().ids(after_line=True) == encode("Enough.\n") + CLOSE
    assert landing("").ids(after_line=False) == encode("\n") + CLOSE
    assert landing(" ").ids(after_line=True) == CLOSE
    assert landing().reopening(after=False) == encode("**Final Answer**\n")
    assert Landing(encode, CLOSE, "", opening=[999]).whole() == [999, *CLOSE]
    assert landing(box=True).reopening(after=True) == encode("\n\n**Final Answer**\n\\boxed{")


@given(st.integers(0, 100_000), st.integers(0, 10_000))
def test_there_is_room_for_the_thought_the_landing_and_the_answer(room: int, asked: int) -> None:
    lander, longest = landing().within(room, asked)
    if longest > 0:
        assert (
            longest + grace(longest) + len(lander.ids(after_line=False)) + answer_reserve(room)
            <= room
        )
    else:
        assert room < 12
    if room > 200 and asked <= room // 4:
        assert lander.message


@pytest.mark.parametrize(("before", "after_line"), [("so\n", True), ("so", False)])
def test_a_thought_that_goes_on_is_where_it_was(before: str, after_line: bool) -> None:
    budget = Budget(Limits(100), landing(), lambda token: bytes([token]), before=before.encode())
    assert budget.after_line() is after_line
    budget.feed(ord("x"))
    assert not budget.after_line()
    budget.rewind(1)
    assert budget.after_line() is after_line
