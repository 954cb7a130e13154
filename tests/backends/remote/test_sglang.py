"""SGLang puts the message that it goes on with behind a prompt that may have opened the thought."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from jinja2 import Environment

from minireason import Message, Reasoner
from tests.backends.remote.misbehaving import (
    Answer,
    Misbehaving,
    Stall,
    chunk,
    page,
    refused,
    reply,
)

Connect = Callable[..., Reasoner]
Make = Callable[..., Misbehaving]

TEMPLATE = (Path(__file__).parents[3] / "bench" / "tiny" / "r1_template.jinja").read_text()
OLD_R1 = TEMPLATE.replace("<｜Assistant｜><think>\\n'}}", "<｜Assistant｜>'}}")


def thoughts() -> Answer:
    """A thought of forty words that goes on."""
    return Answer([*(chunk(reasoning=f" w{number}") for number in range(40)), Stall()])


@pytest.mark.parametrize("opens", [True, False])
def test_a_thought_is_opened_once_for_sglang(
    misbehaving: Make, connected: Connect, opens: bool
) -> None:
    """By the template, as R1's later one does, or by us."""
    template = Environment().from_string(TEMPLATE if opens else OLD_R1)

    def prompt(messages: list[dict[str, str]]) -> str:
        """As SGLang makes it: the last message stands behind the prompt of a new answer."""
        *before, last = messages
        asked = template.render(messages=before, bos_token="", add_generation_prompt=True)
        return f"{asked}{last['content']}"

    rendered = prompt([{"role": "user", "content": "?"}, {"role": "assistant", "content": ""}])
    pages = {
        "/v1/tokenize": page({"tokens": list(range(40)), "count": 40}),
        "/v1/detokenize": page({"text": rendered}),
    }
    said = [reply(chunk(content=each)) for each in ("2.", "2.", " is it.", " is it.", " is it.")]
    server = misbehaving(thoughts(), *said, owner="sglang", pages=pages)
    reasoner = connected(server.url)
    asked, last = server.bodies
    assert asked["messages"] == [{"role": "user", "content": "?"}]
    assert (last["tokens"], last["skip_special_tokens"]) == (list(range(24, 40)), False)
    question = Message(role="user", content="?")
    thought = reasoner.ask("?", thinking_budget=8).thinking
    reasoner.ask("?", thinking=False)
    for begun in ({"thinking": "Well", "content": "It"}, {"content": "It"}):
        reasoner.ask([question, {"role": "assistant", **begun}])  # type: ignore[typeddict-item]
    prompts = [prompt(body["messages"]) for body in server.bodies[3:]]
    beginning = "<｜User｜>?<｜Assistant｜>"
    assert prompts == [
        f"{beginning}<think>\n{thought}\n</think>\n\n",
        f"{beginning}<think>\n\n</think>\n\n",
        f"{beginning}<think>\nWell\n</think>\n\nIt",
        f"{beginning}<think>\n\n</think>\n\nIt" if opens else f"{beginning}It",
    ]
    it = Message(role="assistant", content="It")
    reasoner.ask([question, it], thinking=False)
    assert ("chat_template_kwargs" in server.bodies[-1]) != opens, "it would close a thought, too"


def test_an_older_sglang_is_not_known_to_open_the_thought(
    misbehaving: Make, connected: Connect
) -> None:
    """Its `tokenize` wants a `prompt`."""
    server = misbehaving(
        thoughts(),
        reply(chunk(content="2.")),
        owner="sglang",
        pages={"/v1/tokenize": refused(400, "prompt: Field required")},
    )
    connected(server.url).ask("?", thinking_budget=8)
    assert server.bodies[-1]["messages"][-1]["content"].startswith("<think>\n")
