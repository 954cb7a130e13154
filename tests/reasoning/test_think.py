"""The think machine: labelled spans, whatever the pieces that the text comes in."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.reasoning.think import Label, RawText, State, Tags, ThinkMachine

THINK, ANSWER = Label.THINKING, Label.ANSWER
OPEN_ID, CLOSE_ID = 1, 2
Spans = list[tuple[Label, str]]


def joined(spans: Spans) -> Spans:
    """Neighbouring spans of one label made one."""
    result: Spans = []
    for label, text in spans:
        assert text, "an empty span"
        if result and result[-1][0] is label:
            result[-1] = (label, result[-1][1] + text)
        else:
            result.append((label, text))
    return result


def by_text(chunks: list[bytes], start: State) -> tuple[Spans, ThinkMachine]:
    machine = ThinkMachine(start, Tags())
    spans = [span for chunk in chunks for span in machine.feed(0, chunk)]
    return joined(spans + machine.flush()), machine


def by_id(parts: list[str | int], start: State) -> tuple[Spans, ThinkMachine]:
    machine = ThinkMachine(start, Tags(OPEN_ID, CLOSE_ID))
    literal = {OPEN_ID: b"<think>", CLOSE_ID: b"</think>"}
    spans: Spans = []
    for part in parts:
        spans += (
            machine.feed(part, literal[part])
            if isinstance(part, int)
            else machine.feed(0, part.encode())
        )
    return joined(spans + machine.flush()), machine


CASES = [
    (
        State.THINKING,
        "one\n</think>\n\ntwo",
        [(THINK, "one"), (ANSWER, "two")],
    ),  # the thought was opened for the model
    (
        State.BEFORE,
        " <think>\none</think>two",
        [(THINK, "one"), (ANSWER, "two")],
    ),  # the model opens it itself
    (State.BEFORE, "<b>two</b>", [(ANSWER, "<b>two</b>")]),  # no tag: all answer
    (State.BEFORE, "<thi", [(ANSWER, "<thi")]),
    (State.THINKING, "<think>\none</think>two", [(THINK, "one"), (ANSWER, "two")]),  # opened twice
    (State.THINKING, "one", [(THINK, "one")]),  # never closed: no answer is made of it
    (State.THINKING, "\n\n</think>\n\ntwo", [(ANSWER, "two")]),  # an empty thought
    (
        State.THINKING,
        "a</think>\n</think>b</think>c",
        [(THINK, "a"), (ANSWER, "b</think>c")],
    ),  # closed twice, then a literal
    (
        State.THINKING,
        "a <think> b</think>c<think>d",
        [(THINK, "a <think> b"), (ANSWER, "c<think>d")],
    ),
    (State.THINKING, "a </thin b</think>c", [(THINK, "a </thin b"), (ANSWER, "c")]),
    (State.THINKING, "a \n b  \n</think> c \n d \n", [(THINK, "a \n b"), (ANSWER, "c \n d")]),
    (State.ANSWER, "x <think>y</think> z", [(ANSWER, "x <think>y</think> z")]),
    (State.THINKING, "é漢</think>字🙂", [(THINK, "é漢"), (ANSWER, "字🙂")]),
    (State.BEFORE, "  \n ", []),
    (State.THINKING, "", []),
]


@pytest.mark.parametrize(("start", "text", "wanted"), CASES)
def test_cases_on_text(start: State, text: str, wanted: Spans) -> None:
    assert by_text([text.encode()], start)[0] == wanted
    assert by_text([bytes([byte]) for byte in text.encode()], start)[0] == wanted


@given(st.sampled_from(CASES), st.lists(st.integers(0, 60)))
def test_any_chunking_gives_the_same_spans(case: tuple[State, str, Spans], cuts: list[int]) -> None:
    start, text, wanted = case
    raw = text.encode()
    edges = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
    assert by_text([raw[low:high] for low, high in pairwise(edges)], start)[0] == wanted


@given(
    st.sampled_from(list(State)),
    st.lists(
        st.sampled_from(["<think>", "</think>", " ", "\n", "a", "<", "</", "think>", "é"]),
        max_size=12,
    ),
)
def test_any_text_any_chunking(start: State, parts: list[str]) -> None:
    raw = "".join(parts).encode()
    assert by_text([raw], start)[0] == by_text([bytes([byte]) for byte in raw], start)[0]


ID_CASES: list[tuple[State, list[str | int], Spans]] = [
    (State.THINKING, ["one\n", CLOSE_ID, "\n\ntwo"], [(THINK, "one"), (ANSWER, "two")]),
    (State.BEFORE, ["\n", OPEN_ID, "one", CLOSE_ID, "two"], [(THINK, "one"), (ANSWER, "two")]),
    (
        State.THINKING,
        [OPEN_ID, "one", CLOSE_ID, CLOSE_ID, "two"],
        [(THINK, "one"), (ANSWER, "two")],
    ),
    (
        State.THINKING,
        ["a", CLOSE_ID, "b", CLOSE_ID, OPEN_ID],
        [(THINK, "a"), (ANSWER, "b</think><think>")],
    ),
    (
        State.THINKING,
        ["spelt </think> out", CLOSE_ID, "x"],
        [(THINK, "spelt </think> out"), (ANSWER, "x")],
    ),
    (State.BEFORE, ["<think>spelt"], [(ANSWER, "<think>spelt")]),
    (State.THINKING, ["a", OPEN_ID, "b"], [(THINK, "a<think>b")]),
]


@pytest.mark.parametrize(("start", "parts", "wanted"), ID_CASES)
def test_cases_on_ids(start: State, parts: list[str | int], wanted: Spans) -> None:
    assert by_id(parts, start)[0] == wanted


@pytest.mark.parametrize("by_ids", [True, False])
def test_after_a_forced_close_the_models_own_is_dropped(by_ids: bool) -> None:
    machine = ThinkMachine(State.THINKING, Tags(OPEN_ID, CLOSE_ID) if by_ids else Tags())
    spans = machine.feed(0, b"a") + machine.feed(CLOSE_ID, b"</think>")
    machine.forced = True
    for token, piece in ((0, b"more\n"), (CLOSE_ID, b"</think>"), (0, b"\n\nb <think> c")):
        spans += machine.feed(token, piece)
    assert joined(spans + machine.flush()) == [(THINK, "a"), (ANSWER, "more\n\n\nb <think> c")]


def test_a_cut_inside_a_character_shows_no_replacement() -> None:
    machine = ThinkMachine(State.THINKING, Tags(OPEN_ID, CLOSE_ID))
    spans = machine.feed(0, "漢".encode()[:2])
    spans += (
        machine.feed(CLOSE_ID, b"</think>") + machine.feed(0, "ok漢".encode()[:4]) + machine.flush()
    )
    assert joined(spans) == [(ANSWER, "ok")]


def test_invalid_bytes_are_replaced() -> None:
    assert by_text([b"a\xffb"], State.ANSWER)[0] == [(ANSWER, "a\ufffdb")]


@pytest.mark.parametrize(
    ("parts", "closed", "thought"),
    [(["a", CLOSE_ID], True, True), (["\n", CLOSE_ID], True, False), (["a"], False, True)],
)
def test_what_is_known_at_the_end(parts: list[str | int], closed: bool, thought: bool) -> None:
    machine = by_id(parts, State.THINKING)[1]
    assert (machine.closed, machine.thought) == (closed, thought)


@pytest.mark.parametrize("state", [State.THINKING, State.ANSWER])
def test_what_goes_on_with_a_text_keeps_its_white_space(state: State) -> None:
    machine = ThinkMachine(state, Tags(), begun=True)
    label = THINK if state is State.THINKING else ANSWER
    spans = machine.feed(0, b" two") + machine.feed(0, b" three ") + machine.flush()
    assert joined(spans) == [(label, " two three")]


def test_a_thought_that_is_closed_at_once_was_one_where_it_was_begun() -> None:
    for begun in (False, True):
        machine = ThinkMachine(State.THINKING, Tags(OPEN_ID, CLOSE_ID), begun=begun)
        assert machine.feed(CLOSE_ID, b"</think>") == []
        assert (machine.closed, machine.thought) == (True, begun)


def test_a_tag_at_the_start_of_what_goes_on_is_text() -> None:
    machine = ThinkMachine(State.ANSWER, Tags(OPEN_ID, CLOSE_ID), begun=True)
    assert machine.feed(CLOSE_ID, b"</think>") == [(ANSWER, "</think>")]


@given(st.lists(st.sampled_from(["<think>", "</think>", " ", "\n", "a", "<", "é"])))
def test_raw_text_comes_out_as_it_is(parts: list[str]) -> None:
    machine = RawText()
    spans = [span for part in parts for span in machine.feed(CLOSE_ID, part.encode())]
    assert spans == [(ANSWER, part) for part in parts]
    assert machine.flush() == []
