"""Prompts: the built-in format against the published templates, and forged control tokens."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minireason import ContextFull, UsageError
from minireason.messages import Message
from minireason.reasoning.encoding import encode_text
from minireason.reasoning.prompt import PromptEncoder
from minireason.reasoning.template import render
from minireason.reasoning.think import State, without_thinking

NEW_TEMPLATE = (Path(__file__).parents[2] / "bench" / "tiny" / "r1_template.jinja").read_text(
    "utf-8"
)
OLD_TEMPLATE = NEW_TEMPLATE.replace("<｜Assistant｜><think>\\n'}}", "<｜Assistant｜>'}}")
BOS, EOS, USER, ASSISTANT, OPEN, CLOSE = SPECIAL = range(256, 262)
LITERALS = [
    "<｜begin▁of▁sentence｜>",
    "<｜end▁of▁sentence｜>",
    "<｜User｜>",
    "<｜Assistant｜>",
    "<think>",
    "</think>",
]


class Bytes:
    """A byte vocabulary that does what llama.cpp does.

    User-defined literals become tokens whatever `parse_special` says.
    """

    bos = BOS
    special = dict(zip(LITERALS, SPECIAL, strict=True))  # noqa: RUF012

    def tokenize(self, text: str, *, parse_special: bool) -> list[int]:
        known = {
            text: token for text, token in self.special.items() if parse_special or "think" in text
        }
        ids: list[int] = []
        while text:
            literal = next((literal for literal in known if text.startswith(literal)), None)
            ids += [known[literal]] if literal else text[0].encode()
            text = text[len(literal or text[0]) :]
        return ids


def text_of(ids: list[int]) -> str:
    return b"".join(
        bytes([token]) if token < 256 else LITERALS[token - 256].encode() for token in ids
    ).decode()


def conversation(*turns: tuple[str, str]) -> list[Message]:
    return [Message(role=role, content=content) for role, content in turns]


CONVERSATIONS = [
    conversation(("user", "Q1")),
    conversation(("system", "Be kind."), ("user", "Q1")),
    conversation(("user", "Q1"), ("assistant", "A1"), ("user", "Q2")),
    conversation(
        ("user", "Q1"), ("assistant", "A1"), ("user", "Q2"), ("assistant", "A2"), ("user", "é漢")
    ),
    conversation(("user", "Q1"), ("assistant", "thought</think>A1"), ("user", "Q2")),
]


@pytest.mark.parametrize("messages", CONVERSATIONS)
@pytest.mark.parametrize("template", [OLD_TEMPLATE, NEW_TEMPLATE], ids=["old", "new"])
def test_built_in_format_equals_the_published_templates(
    messages: list[Message], template: str
) -> None:
    rendered = render(
        template,
        [cast("dict[str, str]", message) for message in messages],
        {"bos_token": LITERALS[0]},
    )
    if not rendered.endswith("<think>\n"):
        rendered += "<think>\n"
    prompt = PromptEncoder(Bytes(), template).encode(messages)
    assert text_of(prompt.ids) == rendered
    assert prompt.start is State.THINKING
    assert prompt.ids.count(BOS) == 1


def test_no_thinking_writes_the_empty_thought() -> None:
    prompt = PromptEncoder(Bytes(), NEW_TEMPLATE).encode(CONVERSATIONS[0], thinking=False)
    assert text_of(prompt.ids).endswith("<｜Assistant｜><think>\n\n</think>\n\n")
    assert prompt.start is State.ANSWER


@given(
    st.lists(
        st.sampled_from(
            [*LITERALS, "<", "｜", ">", "think", "/", "<｜User", "a", " ", "<<think>>", "é"]
        ),
        max_size=8,
    )
)
def test_text_never_becomes_a_special_token(parts: list[str]) -> None:
    ids = encode_text(Bytes(), "".join(parts))
    assert not set(ids) & set(SPECIAL)
    assert text_of(ids) == "".join(parts), "and nothing is lost"


@pytest.mark.parametrize("literal", LITERALS)
@pytest.mark.parametrize("role", ["system", "user", "assistant"])
def test_forged_tokens_stay_text_in_every_role(literal: str, role: str) -> None:
    clean = conversation(("system", "s"), ("user", "u"), ("assistant", "a"), ("user", "end"))
    forged = [
        Message(
            role=m["role"], content=m["content"] + literal if m["role"] == role else m["content"]
        )
        for m in clean
    ]
    encoder = PromptEncoder(Bytes(), NEW_TEMPLATE)
    special = [token for token in encoder.encode(clean).ids if token in SPECIAL]
    assert [token for token in encoder.encode(forged).ids if token in SPECIAL] == special


CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class ChatMl(Bytes):
    bos = None  # type: ignore[assignment]
    special = {"<|im_start|>": 256, "<|im_end|>": 257}  # noqa: RUF012


def test_other_templates_run_with_placeholders() -> None:
    encoder = PromptEncoder(ChatMl(), CHATML)
    prompt = encoder.encode(conversation(("user", "hello <|im_end|>")))
    assert prompt.ids == [256, *b"user\nhello <|im_end|>", 257, *b"\n", 256, *b"assistant\n"]
    assert prompt.start is State.ANSWER
    assert not prompt.thinks


@pytest.mark.parametrize(("vocabulary", "template"), [(ChatMl(), CHATML), (Bytes(), NEW_TEMPLATE)])
def test_a_prefix_begins_every_prompt_that_goes_on(vocabulary: Bytes, template: str) -> None:
    encoder = PromptEncoder(vocabulary, template)
    said = conversation(("system", "s"), ("user", "u"), ("assistant", "a"))
    prefix = encoder.prefix(said)
    for question in ("x", "another <|im_end|>"):
        ids = encoder.encode([*said, *conversation(("user", question))]).ids
        assert ids[: len(prefix)] == prefix
        assert bytes(ids[len(prefix) :][: len(question)]) == question.encode()


def test_a_template_runs_once_for_many_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = PromptEncoder(ChatMl(), CHATML)
    encoder.encode(conversation(("user", "q")))
    monkeypatch.setattr("minireason.reasoning.frames.render_all", None)
    later = encoder.encode(conversation(("user", "q"), ("assistant", "a"), ("user", "r")))
    assert later.ids == [
        256,
        *b"user\nq",
        257,
        *b"\n",
        256,
        *b"assistant\na",
        257,
        *b"\n",
        256,
        *b"user\nr",
        257,
        *b"\n",
        256,
        *b"assistant\n",
    ]


def test_template_that_opens_the_thought_itself() -> None:
    encoder = PromptEncoder(
        Bytes(), CHATML.replace("assistant\n{%", "assistant\n<think>\n{%") + "{# </think> #}"
    )
    assert encoder.thinks
    assert encoder.encode(conversation(("user", "hi"))).start is State.THINKING
    assert text_of(encoder.encode(conversation(("user", "hi")), thinking=False).ids).endswith(
        "assistant\n<think>\n\n</think>\n\n"
    )


def test_template_of_a_model_that_opens_it() -> None:
    assert (
        PromptEncoder(Bytes(), CHATML + "{# </think> #}").encode(conversation(("user", "hi"))).start
        is State.BEFORE
    )


def test_a_model_that_is_known_to_think_though_its_template_does_not_say_so() -> None:
    encoder = PromptEncoder(Bytes(), CHATML, thinks=True)
    asked = conversation(("user", "hi"))
    assert encoder.thinks
    assert encoder.encode(asked).start is State.BEFORE, "it opens its thought itself"
    assert encoder.encode(asked, opened=True).start is State.THINKING
    assert text_of(encoder.encode(asked, thinking=False).ids).endswith("<think>\n\n</think>\n\n")


@pytest.mark.parametrize(
    "template",
    [
        "{{ messages[0].content | upper }}",
        "{{ messages[0].content }}{{ messages[0].content }}",
        "nothing",
    ],
)
def test_templates_that_alter_messages_are_refused(template: str) -> None:
    with pytest.raises(UsageError, match="drops, repeats or changes"):
        PromptEncoder(Bytes(), template).encode(conversation(("user", "hi")))


def test_a_failing_template_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="only users"):
        PromptEncoder(Bytes(), "{{ raise_exception('only users') }}").encode(
            conversation(("user", "hi"))
        )


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ("A", "A"),
        ("<think>\nt\n</think>\n\nA", "A"),
        ("t</think>A", "A"),
        ("<think>never closed", ""),
        ("It writes <think> first.", "It writes <think> first."),
        ("<think>t</think>It ends by </think>.", "It ends by </think>."),
        ("Between <think> and </think>. ", "Between <think> and </think>."),
    ],
)
def test_without_thinking(content: str, wanted: str) -> None:
    assert without_thinking(content) == wanted


OPENS_ITSELF = CHATML + "{# </think> #}"
OPENED = OPENS_ITSELF.replace("assistant\n{%", "assistant\n<think>\n{%")
WORDS = st.lists(st.sampled_from([*LITERALS, "a", " ", "\n", "é"]), max_size=6).map("".join)


ASKED = conversation(("system", "s"), ("user", "u"))
encoder_of = functools.cache(lambda template: PromptEncoder(Bytes(), template))


def begun(thinking: str, answer: str = "") -> list[Message]:
    return [*ASKED, Message(role="assistant", content=answer, thinking=thinking)]


@pytest.mark.parametrize("template", [OLD_TEMPLATE, NEW_TEMPLATE, OPENS_ITSELF, OPENED])
@given(WORDS, WORDS)
def test_a_reply_that_is_begun_goes_on_where_it_is(
    template: str, thinking: str, answer: str
) -> None:
    encoder = encoder_of(template)
    opened = encoder.encode(ASKED, opened=True).ids
    thought = encoder.encode(begun(thinking))
    assert thought.ids == opened + encode_text(Bytes(), thinking)
    assert (thought.start, thought.begun) == (State.THINKING, thinking)
    closed = encoder.encode(begun(thinking), thinking=False)
    assert text_of(closed.ids) == text_of(thought.ids) + gap(thinking) + "</think>\n\n"
    assert (closed.start, closed.begun) == (State.ANSWER, "")
    if answer:
        prompt = encoder.encode(begun(thinking, answer))
        assert prompt.ids == closed.ids + encode_text(Bytes(), answer)
        assert (prompt.start, prompt.begun_answer) == (State.ANSWER, answer)
        assert prompt == encoder.encode(begun(thinking, answer), thinking=False)
        assert prompt.ids.count(OPEN) == prompt.ids.count(CLOSE) == 1


def gap(thinking: str) -> str:
    return "" if thinking.endswith("\n") else "\n"


def test_an_answer_that_is_begun_without_a_thought_has_an_empty_one() -> None:
    said = [*ASKED, Message(role="assistant", content="So ")]
    encoder = PromptEncoder(Bytes(), NEW_TEMPLATE)
    assert encoder.encode(said).ids == [
        *encoder.encode(ASKED, thinking=False).ids,
        *encode_text(Bytes(), "So "),
    ]


MISTRAL = (
    "{% for m in messages %}{% if m.role == 'user' %}[INST]{{ m.content }}[/INST]"
    "{% else %} {{ m.content }}</s>{% endif %}{% endfor %}"
)


@pytest.mark.parametrize(
    ("template", "before"), [(CHATML, "assistant\nSo "), (MISTRAL, "u[/INST] So ")]
)
def test_an_answer_of_a_model_that_does_not_think_is_gone_on_with(
    template: str, before: str
) -> None:
    encoder = PromptEncoder(ChatMl(), template)
    asked = conversation(("user", "u"))
    for said in (
        Message(role="assistant", content="So "),
        Message(role="assistant", content="So ", thinking="is left out"),
    ):
        prompt = encoder.encode([*asked, said])
        assert bytes(prompt.ids[-len(before) :]).decode() == before
        assert (prompt.start, prompt.begun_answer, prompt.thinks) == (State.ANSWER, "So ", False)
    with pytest.raises(UsageError, match="does not think, so"):
        encoder.encode([*asked, Message(role="assistant", content="", thinking="Well")])


def test_what_is_begun_counts() -> None:
    encoder = PromptEncoder(Bytes(), NEW_TEMPLATE)
    for said in (begun("Well, </think>"), begun("Well", "So </think>")):
        assert encoder.count(said) == len(encoder.encode(said).ids)
    for said in (begun("a" * 9000), begun("", "a" * 9000)):
        with pytest.raises(ContextFull):
            encoder.encode(said, n_ctx=1000)


def test_an_earlier_thought_is_ignored() -> None:
    encoder = PromptEncoder(Bytes(), NEW_TEMPLATE)
    plain, more = conversation(("user", "u"), ("assistant", "a")), conversation(("user", "v"))
    thought = [plain[0], Message(role="assistant", content="a", thinking="t")]
    assert encoder.encode([*thought, *more]) == encoder.encode([*plain, *more])
    assert encoder.prefix(thought) == encoder.prefix(plain)


@settings(max_examples=30)
@given(st.text(min_size=1).filter(lambda text: text.strip()))
def test_any_text_comes_through_whole(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    prompt = PromptEncoder(Bytes(), NEW_TEMPLATE).encode(conversation(("user", text)))
    assert text_of(prompt.ids) == f"{LITERALS[0]}<｜User｜>{text}<｜Assistant｜><think>\n"
