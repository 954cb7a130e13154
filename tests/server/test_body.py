"""Bodies that are meant to harm."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from minireason.backends.scripted import ScriptedBackend
from minireason.messages import Message
from minireason.server.control import PATH as CONTROL
from minireason.server.openai.chat import PATH
from minireason.wire.body import MOST_VALUES
from tests.server.serving import Served


@pytest.mark.parametrize(
    "values",
    [
        '"messages": [' + "{}, " * MOST_VALUES + "{}]",
        '"stop": [' + "1, " * MOST_VALUES + "1]",
        '"unknown": [[' + "[], " * MOST_VALUES + "[]]]",
    ],
)
def test_more_values_than_are_ever_meant_are_not_even_checked(
    served: Callable[..., Served], values: str
) -> None:
    with served().client() as client:
        answer = client.post(PATH, content=f"{{{values}}}".encode())
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "body_too_large"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-1e400"])
@pytest.mark.parametrize("stream", ["true", "false"])
def test_a_number_that_is_not_finite(
    served: Callable[..., Served], number: str, stream: str
) -> None:
    """A response has fields of its request again, and JSON has no such numbers."""
    body = f'{{"input": "?", "user": [{{"of": {number}}}], "stream": {stream}}}'
    with served().client() as client:
        answer = client.post("/v1/responses", content=body.encode())
    assert answer.status_code == 400
    assert "not finite" in answer.json()["error"]["message"]


def test_an_error_does_not_send_back_what_was_sent(served: Callable[..., Served]) -> None:
    long = "x" * 100_000
    part = {"messages": [{"role": "user", "content": [{"type": long}]}]}
    with served().client() as client:
        answers = [
            client.post(PATH, json=part),
            client.post("/v1/responses", json={"input": [{"type": long, "content": "?"}]}),
            client.post(CONTROL, json={"id": long, "action": "reasoning_end"}),
        ]
    assert [answer.status_code for answer in answers] == [400, 400, 200]
    assert all(len(answer.content) < 1000 for answer in answers)


class Counting(ScriptedBackend):
    """Notes up to how many tokens a prompt has to be counted."""

    most: int | None = None

    def count_tokens(self, messages: Sequence[Message], *, at_most: int | None = None) -> int:
        self.most = at_most
        return super().count_tokens(messages, at_most=at_most)


def test_a_prompt_that_fits_nowhere_is_not_counted_to_its_end(
    served: Callable[..., Served],
) -> None:
    backend = Counting("2", n_ctx=100)
    question = {"role": "user", "content": "1 " * 1000}
    with served(backend).client() as client:
        answer = client.post("/v1/messages/count_tokens", json={"messages": [question]})
    assert answer.json()["input_tokens"] > 100
    assert backend.most == 100
