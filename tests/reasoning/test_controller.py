"""What enters a sequence, decided on made-up vocabularies: a token a byte, and some longer ones."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minireason import Reply, TokenLogprob
from minireason.engine.base import Mask
from minireason.reasoning.budget import Budget, Limits
from minireason.reasoning.controller import Controller
from minireason.reasoning.landing import Landing, grace
from minireason.reasoning.prompt import Prompt
from minireason.reasoning.reply import ReplyBuilder
from minireason.reasoning.rules import Rules
from minireason.reasoning.think import CLOSE, OPEN, State, Tags
from minireason.settings import Settings

LONGER = ("</", "think", ">", "<th", ".</", " </think", "ink>", "</think>.", "\n\n", "ab", "é</t")
EOG, OPEN_ID, CLOSE_ID = 256 + len(LONGER), 257 + len(LONGER), 258 + len(LONGER)
PIECES = [*(bytes([byte]) for byte in range(256)), *(text.encode() for text in LONGER)]
PIECES += [b"<end>", OPEN.encode(), CLOSE.encode()]
LANDING = "Enough."
ROOM = 2000


@dataclass
class Vocabulary:
    """Bytes, the longer pieces, and the end of a text; the two tags as tokens or as text."""

    has_tags: bool
    n_vocab: int = len(PIECES)
    bos: int | None = None
    eog: frozenset[int] = frozenset({EOG})

    @property
    def special(self) -> dict[str, int]:
        return {OPEN: OPEN_ID, CLOSE: CLOSE_ID} if self.has_tags else {}

    @property
    def tags(self) -> Tags:
        return Tags(OPEN_ID, CLOSE_ID) if self.has_tags else Tags()

    def piece(self, token: int) -> bytes:
        return PIECES[token]

    def tokenize(self, text: str, *, parse_special: bool) -> list[int]:
        return list(text.encode())

    def tag(self, literal: str) -> list[int]:
        return [self.special[literal]] if self.has_tags else list(literal.encode())


@dataclass
class Outcome:
    """A reply, and the text that the model saw after the prompt."""

    reply: Reply
    seen: str
    logprobs: list[TokenLogprob]


def allowed(mask: Mask | None, token: int) -> int:
    """The token, or the next one that the mask lets through."""
    while mask is not None and not mask[token // 32] >> token % 32 & 1:
        token = (token + 1) % 256
    return token


def run(
    script: list[int], vocabulary: Vocabulary, settings: Settings, start: State = State.THINKING
) -> Outcome:
    """What becomes of the tokens of a script; after its end the model says "x" for ever."""
    close = [*vocabulary.tag(CLOSE), *b"\n\n"]
    opening = [*vocabulary.tag(OPEN), *b"\n"]
    landing = Landing(lambda text: list(text.encode()), close, settings.landing, opening=opening)
    limits = Limits(settings.thinking_budget or 0, None, settings.min_thinking)
    prompt = Prompt([1, 2, 3], start, True, vocabulary.tags)
    builder = ReplyBuilder("made up", prompt, settings, tell_logprob=tell)
    budget = Budget(limits, landing, vocabulary.piece)
    rules = Rules(vocabulary, prompt, settings, budget, builder)
    controller = Controller(rules, builder)
    sequence, mask = list(prompt.ids), rules.mask()
    for draw in range(ROOM):
        token = allowed(mask, script[draw] if draw < len(script) else ord("x"))
        step = controller.on_token(token, draw)
        assert controller.on_token(token, draw) is step, "it counts once"
        if step.done:
            break
        assert step.append
        sequence[len(sequence) - step.drop :] = step.append
        mask = step.mask
    assert builder.reply
    seen = b"".join(map(vocabulary.piece, sequence[len(prompt.ids) :]))
    return Outcome(builder.reply, seen.decode("utf-8", "replace"), builder.logprobs)


def tell(token: int, text_end: int) -> TokenLogprob:
    return TokenLogprob(PIECES[token], 0.0, (), text_end)


def settings(budget: int, room: int, landing: str = LANDING, min_thinking: int = 4) -> Settings:
    return Settings(
        thinking_budget=budget,
        max_tokens=budget + room,
        landing=landing,
        min_thinking=min_thinking,
    )


tokens = st.one_of(
    st.integers(256, EOG - 1), st.sampled_from(list(b"<>/think\n. ab")), st.integers(0, EOG)
)
scripts = st.lists(tokens, max_size=60)


@given(scripts, st.booleans(), st.sampled_from(State), st.integers(0, 40), st.integers(1, 80))
@example([*b"\n" * 30, *b"<think>"], False, State.BEFORE, 4, 60)
@example([*b"abc</thin"], False, State.THINKING, 8, 60)
@example([*b"abc", 256 + LONGER.index(".</"), *b"think>"], False, State.THINKING, 4, 60)
def test_neither_limit_is_ever_passed(
    script: list[int], has_tags: bool, start: State, budget: int, room: int
) -> None:
    reply = run(script, Vocabulary(has_tags), settings(budget, room), start).reply
    usage = reply.usage
    assert usage.thinking_tokens + usage.answer_tokens + usage.forced_tokens <= budget + room
    if start is not State.ANSWER:
        own_tag = reply.thinking_end == "natural" or reply.thinking_end == "skipped"
        assert usage.thinking_tokens <= budget + grace(budget) + own_tag


@given(scripts, st.booleans(), st.sampled_from([State.BEFORE, State.THINKING]), st.integers(0, 40))
def test_what_is_shown_of_a_thought_is_what_the_model_saw(
    script: list[int], has_tags: bool, start: State, budget: int
) -> None:
    """White space apart, which belongs to neither side next to a tag."""
    text = [token for token in script if token < 128 or 256 <= token < EOG]
    outcome = run(text, Vocabulary(has_tags), settings(budget, 400), start)
    seen, shown = ("".join(text.split()) for text in (outcome.seen, outcome.reply.thinking))
    if outcome.reply.thinking_end in ("budget", "natural"):
        assert seen.removeprefix(OPEN).startswith(shown + CLOSE)


@pytest.mark.parametrize("end", [["."], ["</"], [".</"], ["</", "think"], ["é</t"], [" </think"]])
def test_half_a_tag_is_taken_back_and_the_text_before_it_is_not(end: list[str]) -> None:
    half = [256 + LONGER.index(text) if text in LONGER else ord(text) for text in end]
    budget = 3 + len(half)
    assert budget + grace(budget) == 4 + len(half), "it is used up after half a tag"
    outcome = run([*b"0123", *half], Vocabulary(False), settings(budget, 80, landing=""))
    before = "".join(end).partition(" </")[0].partition("</")[0]
    assert outcome.reply.thinking.startswith("0123" + before)
    assert outcome.seen.startswith("0123" + before)
    assert "</" not in outcome.seen.partition(CLOSE)[0]


def test_a_thought_that_is_never_opened_is_written_for_the_model() -> None:
    outcome = run([*b"\n" * 50], Vocabulary(False), settings(8, 80), State.BEFORE)
    assert outcome.seen.startswith(f"{OPEN}\n{LANDING}\n{CLOSE}\n\n")
    assert (outcome.reply.thinking, outcome.reply.thinking_end) == (LANDING, "budget")
    assert outcome.reply.answer.startswith("x"), "and it answers"


def test_a_model_that_answers_at_once_is_let_to() -> None:
    outcome = run([*b"\n\nYes.", EOG], Vocabulary(False), settings(8, 80), State.BEFORE)
    assert (outcome.reply.thinking, outcome.reply.answer) == ("", "Yes.")
    assert outcome.reply.usage.forced_tokens == 0


def test_what_others_took_of_a_shared_allowance_is_not_gone_over() -> None:
    """They may have had the last of it in the same step of the model."""
    vocabulary, left = Vocabulary(True), 5
    prompt = Prompt([1, 2, 3], State.ANSWER, True, vocabulary.tags)
    plain = settings(0, 80)
    builder = ReplyBuilder("made up", prompt, plain)
    landing = Landing(lambda text: list(text.encode()), [CLOSE_ID], LANDING)
    budget = Budget(Limits(0), landing, vocabulary.piece)
    rules = Rules(vocabulary, prompt, plain, budget, builder, allowance=lambda: left)
    controller = Controller(rules, builder)
    assert not controller.on_token(ord("a"), 0).done
    left = 0
    assert controller.on_token(ord("b"), 1).done
    assert builder.reply
    assert (builder.reply.answer, builder.reply.finish_reason) == ("a", "length")
    assert builder.tokens == 1


@given(scripts, st.booleans(), st.sampled_from(State), st.integers(0, 40))
def test_each_token_of_an_answer_has_its_log_probability(
    script: list[int], has_tags: bool, start: State, budget: int
) -> None:
    outcome = run(script, Vocabulary(has_tags), settings(budget, 400), start)
    ends, usage = [one.text_end for one in outcome.logprobs], outcome.reply.usage
    assert ends == sorted(ends)
    assert ends[-1:] <= [len(outcome.reply.answer)]
    if start is not State.BEFORE:
        assert len(ends) == usage.answer_tokens


@pytest.mark.parametrize(
    ("script", "noted"),
    [
        ([*b"\n\nYes.", EOG], [0, 0, 1, 2, 3, 4]),
        ([*b"<b", EOG], [0, 2]),
        ([*b"<think>so</think>No", EOG], [1, 2]),
    ],
)
def test_tokens_before_it_is_known_whether_there_is_a_thought(
    script: list[int], noted: list[int]
) -> None:
    plain = settings(40, 80, min_thinking=0)
    outcome = run(script, Vocabulary(False), plain, State.BEFORE)
    assert [one.text_end for one in outcome.logprobs] == noted


def test_tokens_that_are_taken_back_have_none() -> None:
    outcome = run([*b"\n" * 50], Vocabulary(False), settings(8, 80), State.BEFORE)
    assert {one.token for one in outcome.logprobs} <= {b"x", b"\n"}
    assert len(outcome.logprobs) == outcome.reply.usage.answer_tokens


def test_a_token_that_does_not_count_is_not_seen() -> None:
    """As where an interruption comes before what was decided counts."""
    vocabulary, plain = Vocabulary(True), settings(0, 80)
    prompt = Prompt([1, 2, 3], State.ANSWER, True, vocabulary.tags)
    builder = ReplyBuilder("made up", prompt, plain, tell_logprob=tell)
    landing = Landing(lambda text: list(text.encode()), [CLOSE_ID], LANDING)
    rules = Rules(vocabulary, prompt, plain, Budget(Limits(0), landing, vocabulary.piece), builder)
    saved = rules.save()
    builder.begin()
    rules.step(ord("a"))
    assert builder.logprobs == []
    rules.restore(saved)
    controller = Controller(rules, builder)
    for draw in (0, 1, 1):
        controller.on_token(ord("b"), draw)
    assert [(one.token, one.text_end) for one in builder.logprobs] == [(b"b", 1), (b"b", 2)]
