"""Which piece of an answer a token's log-probability is told with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from minireason.events import AnswerDelta, Event, ThinkingDelta, TokenLogprob
from minireason.reasoning.text import StopStrings
from minireason.wire.logprobs import ScoredDelta, Scorer, of_answer

TOKENS = st.lists(st.text("abc", min_size=1, max_size=3), max_size=12)


class Noted:
    """A stream that has noted these tokens so far."""

    def __init__(self) -> None:
        self.noted: list[TokenLogprob] = []

    @property
    def logprobs(self) -> Sequence[TokenLogprob]:
        return self.noted


def told(tokens: list[str], stop: str, polls: list[bool]) -> tuple[list[ScoredDelta], Scorer, Any]:
    """The pieces of an answer that `stop` may end, read after each token that `polls` says."""
    stream, stops, chars = Noted(), StopStrings([stop]), 0
    scorer, pieces = Scorer(stream), list[Event]()
    unread = list[Event]()
    for number, token in enumerate(tokens):
        shown = stops.feed(token)
        chars += len(shown)
        stream.noted.append(TokenLogprob(token.encode(), -1.0, (), chars))
        unread += [AnswerDelta(shown)] if shown else []
        if number < len(polls) and polls[number]:
            pieces += scorer.scored(unread)
            unread = []
        if stops.stopped:
            break
    if rest := stops.flush():
        unread.append(AnswerDelta(rest))
    pieces += scorer.scored(unread)
    return [piece for piece in pieces if isinstance(piece, ScoredDelta)], scorer, stream


@given(TOKENS, st.lists(st.booleans(), max_size=12))
def test_each_token_belongs_to_one_piece_whenever_it_is_read(
    tokens: list[str], polls: list[bool]
) -> None:
    pieces, scorer, stream = told(tokens, "abc", polls)
    assert pieces == told(tokens, "abc", [])[0]
    assert [one for piece in pieces for one in piece.logprobs] == list(scorer.told)
    text = "".join(piece.text for piece in pieces)
    assert of_answer(stream, text) == scorer.told
    said = b"".join(one.token for one in scorer.told).decode()
    if "abc" in "".join(tokens):
        assert said.startswith(text)
    else:
        assert said == text == "".join(tokens)


def test_white_space_before_an_answer_is_in_no_piece() -> None:
    stream = Noted()
    stream.noted += [
        TokenLogprob(b"\n\n", -1.0, (), 0),
        TokenLogprob(b"It", -1.0, (), 2),
        TokenLogprob(b"\n", -1.0, (), 2),
    ]
    scorer = Scorer(stream)
    (thought, piece) = scorer.scored([ThinkingDelta("So"), AnswerDelta("It")])
    assert thought == ThinkingDelta("So")
    assert piece == ScoredDelta("It", (stream.noted[1],))
    assert scorer.told == (stream.noted[1],)
