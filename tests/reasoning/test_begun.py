"""Which conversations can be answered, and what of a reply they may begin."""

from __future__ import annotations

from typing import Any

import pytest

from minireason import UsageError
from minireason.reasoning.begun import Begun, parted

QUESTION = {"role": "user", "content": "q"}


def reply(content: str, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "user", "content": "  "}],
        [{"role": "tool", "content": "x"}, QUESTION],
        [{"role": "user", "content": "\ud800"}],
        [{"role": "user"}],
        [{"role": "user", "content": 3}],
        [reply("a")],
        [QUESTION, reply("")],
        [QUESTION, reply("a"), reply("b")],
        [{"role": "user", "content": " "}, reply("a")],
        [{"role": "system", "content": "s"}, reply("a")],
        [QUESTION, reply("a", thinking=None)],
        [QUESTION, reply("a", thinking="\ud800")],
        [QUESTION, reply("a", thinking=["t"])],
        [{**QUESTION, "thinking": "t"}],
    ],
)
def test_impossible_conversations(messages: list[Any]) -> None:
    with pytest.raises(UsageError) as caught:
        parted(messages)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("said", "begun"),
    [
        (reply("a"), Begun("", "a")),
        (reply(" "), Begun("", " ")),
        (reply("", thinking="t"), Begun("t", "")),
        (reply("", thinking=""), Begun("", "")),
        (reply("a", thinking="t"), Begun("t", "a")),
    ],
)
def test_what_is_begun(said: Any, begun: Begun) -> None:
    earlier: list[Any] = [QUESTION, reply("", thinking="t"), QUESTION]
    assert parted([*earlier, said]) == (earlier, begun)
    assert parted(earlier) == (earlier, None)
