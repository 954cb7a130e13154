"""The data of events, however the bytes are cut and whatever the lines end with."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.backends.remote.sse import EventReader

TEXT = ': ping\nevent: x\ndata: {"a": "ä"}\n\ndata: one\ndata:two\nid: 7\n\n\ndata: last'
EVENTS = ['{"a": "ä"}', "one\ntwo", "last"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@given(cuts=st.lists(st.integers(0, 90), max_size=12))
def test_any_cut_gives_the_same_events(end: str, cuts: list[int]) -> None:
    data = TEXT.replace("\n", end).encode()
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    reader = EventReader()
    events: list[str] = []
    for start, stop in itertools.pairwise(places):
        events += reader.feed(data[start:stop])
    assert [*events, *reader.flush()] == EVENTS


def test_an_event_comes_as_soon_as_it_is_whole() -> None:
    reader = EventReader()
    assert list(reader.feed(b"data: one\n")) == []
    assert list(reader.feed(b"\ndata: t")) == ["one"]
