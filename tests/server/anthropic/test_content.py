from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.messages import Message
from minireason.server.anthropic.content import conversation
from minireason.server.settings import ServerSettings
from minireason.wire.errors import ApiError

SETTINGS = ServerSettings()
IGNORING = ServerSettings(ignore_tools=True)

WORDS = st.text("abc é\n", min_size=1).filter(str.strip)
ROLES = st.sampled_from(["user", "assistant"])


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


@given(st.lists(st.tuples(ROLES, WORDS), min_size=1, max_size=6), st.booleans())
def test_text_and_blocks_of_text_are_the_same(turns: list[tuple[str, str]], system: bool) -> None:
    given_system = "Be kind." if system else None
    as_text = conversation(given_system, turns, SETTINGS)
    blocks = [(role, [text(words)]) for role, words in turns]
    assert conversation(given_system and [text(given_system)], blocks, SETTINGS) == as_text
    assert [one["role"] for one in as_text].count("system") == system
    roles = [one["role"] for one in as_text if one["role"] != "system"]
    assert all(first != second for first, second in itertools.pairwise(roles))
    said = "".join(one["content"] for one in as_text)
    assert all(words in said for _role, words in turns)


def test_turns_of_one_role_become_one() -> None:
    turns = [("user", "One."), ("user", [text("Two."), text("Three.")]), ("assistant", "Four")]
    assert conversation(None, turns, SETTINGS) == [
        Message(role="user", content="One.\n\nTwo.\nThree."),
        Message(role="assistant", content="Four"),
    ]


def test_all_system_texts_become_the_first_message() -> None:
    turns = [("user", "Hello"), ("system", "Be short."), ("assistant", "Hi"), ("user", "Why?")]
    messages = conversation("Be kind.", turns, SETTINGS)
    assert messages[0] == Message(role="system", content="Be kind.\n\nBe short.")
    assert [one["role"] for one in messages] == ["system", "user", "assistant", "user"]


def test_thoughts_of_earlier_turns_are_left_out() -> None:
    thought = {"type": "thinking", "thinking": "Secret.", "signature": ""}
    redacted = {"type": "redacted_thinking", "data": "abc"}
    turns = [("user", "Hello"), ("assistant", [thought, redacted, text("Hi")]), ("user", "Why?")]
    assert "Secret" not in str(conversation(None, turns, SETTINGS))


def test_a_thought_alone_at_the_end_is_gone_on_with() -> None:
    thought = {"type": "thinking", "thinking": "I see", "signature": ""}
    last = conversation(None, [("user", "Hello"), ("assistant", [thought])], SETTINGS)[-1]
    assert last == {"role": "assistant", "content": "", "thinking": "I see"}


TOOL_USE = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
TOOL_RESULT = {"type": "tool_result", "tool_use_id": "t", "content": "42"}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ""}}


def test_tools_are_left_out_where_they_are_ignored() -> None:
    turns = [
        ("user", "Hello"),
        ("assistant", [text("I look."), TOOL_USE]),
        ("user", [TOOL_RESULT, text("Go on.")]),
    ]
    assert [one["content"] for one in conversation(None, turns, IGNORING)] == [
        "Hello",
        "I look.",
        "Go on.",
    ]


@pytest.mark.parametrize(
    ("turns", "settings", "said"),
    [
        ([("user", [IMAGE])], SETTINGS, "'image' cannot be read"),
        ([("user", [IMAGE])], IGNORING, "'image' cannot be read"),
        ([("user", "Hi"), ("assistant", [TOOL_USE])], SETTINGS, "--ignore-tools"),
        ([("user", [TOOL_RESULT])], SETTINGS, "--ignore-tools"),
        ([("user", "Hi"), ("assistant", "I look."), ("user", [TOOL_RESULT])], IGNORING, "no text"),
        ([("user", "Hi"), ("assistant", "")], SETTINGS, "no text"),
        ([("user", " \n")], SETTINGS, "no text"),
        ([("user", 5)], SETTINGS, "messages[0].content has to be text or a list"),
        ([("user", None)], SETTINGS, "messages[0].content has to be text or a list"),
        ([("user", ["Hi"])], SETTINGS, "messages[0].content[0] has to be a content block"),
        (
            [("user", [{"text": "Hi"}])],
            SETTINGS,
            "messages[0].content[0] has to be a content block",
        ),
        ([("user", [{"type": "text"}])], SETTINGS, "messages[0].content[0].text has to be text"),
    ],
)
def test_what_cannot_be_answered(
    turns: list[tuple[str, Any]], settings: ServerSettings, said: str
) -> None:
    with pytest.raises(ApiError) as error:
        conversation(None, turns, settings)
    assert error.value.status == 400
    assert said in error.value.message
