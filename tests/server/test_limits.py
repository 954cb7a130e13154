"""What a request may ask of the time of others."""

from __future__ import annotations

import pytest

from minireason.backends.base import StreamOptions
from minireason.backends.scripted import ScriptedBackend
from minireason.errors import BadSetting
from minireason.messages import Message
from minireason.server.limits import MOST_FORM_CHARS, MOST_STOPS, check
from minireason.server.replies import open_replies
from minireason.settings import Changes
from minireason.wire.call import Call


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        (Changes(stop=["q"] * (MOST_STOPS + 1)), "stop"),
        (Changes(regex="a" * (MOST_FORM_CHARS + 1)), "regex"),
        (Changes(choices=[str(number) for number in range(MOST_FORM_CHARS)]), "choices"),
        (Changes(schema={"const": "a" * MOST_FORM_CHARS}), "schema"),
        (Changes(schema={"const": 10**5000}), "schema"),
    ],
)
def test_too_much_is_refused_before_anything_is_compiled(changes: Changes, name: str) -> None:
    question = [Message(role="user", content="1+1?")]
    call = Call(model=None, messages=question, changes=changes)
    with pytest.raises(BadSetting) as raised:
        open_replies(ScriptedBackend("2"), call, StreamOptions())
    assert raised.value.name == name
    assert len(str(raised.value)) < 300, "what was sent is not sent back"


def test_much_is_allowed() -> None:
    check(Changes(stop=["q"] * MOST_STOPS))
    check(Changes(regex="a" * MOST_FORM_CHARS))
    check(Changes(choices=["yes", "no"]))
