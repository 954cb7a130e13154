"""Kinds of servers: how they are known, and how a budget lands where they have none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment

from minireason import Reasoner, UsageError
from minireason.backends.remote.backend import RemoteBackend
from minireason.settings import LANDING
from tests.backends.remote.misbehaving import (
    Answer,
    Misbehaving,
    Stall,
    chunk,
    models,
    page,
    reply,
)
from tests.server.serving import WAIT_S

Connect = Callable[..., Reasoner]
Make = Callable[..., Misbehaving]

TEMPLATE = Path(__file__).parents[3] / "bench" / "tiny" / "r1_template.jinja"
PAGES: dict[str, dict[str, Any]] = {
    "llama-server": {"/props": page({"default_generation_settings": {}})},
    "sglang": {"/get_model_info": page({"model_path": "m"})},
    "ollama": {"/api/version": page({"version": "0.13"})},
    "vllm": {"/version": page({"version": "0.16"})},
    "plain": {},
}


def kind(reasoner: Reasoner) -> str:
    assert isinstance(reasoner.backend, RemoteBackend)
    return reasoner.backend.flavour.name


@pytest.mark.parametrize("flavour", PAGES)
def test_a_server_is_known_by_what_it_answers(
    misbehaving: Make, connected: Connect, flavour: str
) -> None:
    assert kind(connected(misbehaving(pages=PAGES[flavour]).url)) == flavour


@pytest.mark.parametrize(
    ("owner", "flavour"),
    [
        ("vllm", "vllm"),
        ("sglang", "sglang"),
        ("llamacpp", "llama-server"),
        ("me", "llama-cpp-python"),
        ("library", "ollama"),
    ],
)
def test_a_server_is_known_by_its_models(
    misbehaving: Make, connected: Connect, owner: str, flavour: str
) -> None:
    pages = {"/v1/models": models("m", owner=owner, max_model_len=777)}
    reasoner = connected(misbehaving(pages=pages).url)
    assert (kind(reasoner), reasoner.n_ctx) == (flavour, 777)


def test_a_budget_goes_by_the_field_of_the_server(misbehaving: Make, connected: Connect) -> None:
    server = misbehaving(*[reply(chunk(content="Yes."))] * 2, owner="vllm")
    reasoner = connected(server.url)
    reasoner.ask("?", thinking_budget=100)
    assert server.bodies[0]["thinking_token_budget"] == 100
    reasoner.ask("?")
    assert "thinking_token_budget" not in server.bodies[1]


def test_a_landing_goes_with_a_thought_alone(misbehaving: Make, connected: Connect) -> None:
    server = misbehaving(*[reply(chunk(content="Yes."))] * 2, owner="llamacpp")
    reasoner = connected(server.url)
    reasoner.ask("?", thinking_budget=100, landing="So:")
    reasoner.ask("?", thinking=False)
    budgets = [body["thinking_budget_tokens"] for body in server.bodies]
    landings = [body.get("reasoning_budget_message") for body in server.bodies]
    assert (budgets, landings) == ([100, 0], ["\n\nSo:\n", "\n"])


@pytest.mark.parametrize("lands", [True, False])
def test_what_the_server_put_in_is_forced(
    misbehaving: Make, connected: Connect, lands: bool
) -> None:
    """Its thought may as well come to its own end, however close to the budget that is."""
    ends = [chunk(reasoning_content=f"\n\n{LANDING}")] if lands else []
    server = misbehaving(
        reply(
            chunk(reasoning_content="one"),
            chunk(reasoning_content=" two"),
            *ends,
            chunk(content="2."),
        ),
        owner="llamacpp",
    )
    got = connected(server.url).ask("?", thinking_budget=2)
    assert got.thinking_end == ("budget" if lands else "natural")
    assert (got.usage.forced_tokens > 0) == lands
    assert got.usage.answer_tokens == 1


def thoughts(*ends: bytes | Stall) -> Answer:
    """A thought of forty words."""
    return Answer([*(chunk(reasoning=f" w{number}") for number in range(40)), *ends])


def test_without_a_field_the_reply_is_cut_and_gone_on_with(
    misbehaving: Make, connected: Connect
) -> None:
    server = misbehaving(
        thoughts(Stall()), reply(chunk(content="It is "), chunk(content="2.")), owner="sglang"
    )
    got = connected(server.url).ask("?", thinking_budget=8, max_tokens=100, seed=3)
    assert (got.answer, got.thinking_end, got.finish_reason) == ("It is 2.", "budget", "stop")
    assert got.thinking.endswith(LANDING)
    assert got.usage.thinking_tokens == 10
    assert got.usage.answer_tokens == 2
    assert got.usage.forced_tokens > 0
    first, second = server.bodies
    said = second["messages"][-1]
    assert said["content"] == f"<think>\n{got.thinking}\n</think>\n\n"
    assert said["role"] == "assistant"
    assert second["continue_final_message"] is True
    assert second["add_generation_prompt"] is False
    assert first["seed"] == second["seed"] == 3
    assert second["max_tokens"] == 100 - 10 - got.usage.forced_tokens
    assert server.gone.wait(WAIT_S)


def test_what_comes_after_a_cut_is_the_answer(misbehaving: Make, connected: Connect) -> None:
    """A server that looks for a closing tag takes the whole answer for a thought."""
    server = misbehaving(thoughts(Stall()), reply(chunk(reasoning="It is 2.")), owner="sglang")
    assert connected(server.url).ask("?", thinking_budget=8).answer == "It is 2."


def test_a_server_that_ignores_its_own_field_is_cut(misbehaving: Make, connected: Connect) -> None:
    many = [chunk(reasoning=f" w{number}") for number in range(400)]
    server = misbehaving(Answer([*many, Stall()]), reply(chunk(content="2.")), owner="vllm")
    got = connected(server.url).ask("?", thinking_budget=8)
    assert (got.answer, got.thinking_end) == ("2.", "budget")


@pytest.mark.parametrize("budget", [8, 0])
def test_a_template_of_r1_lets_vllm_go_on_from_a_cut(
    misbehaving: Make, connected: Connect, budget: int
) -> None:
    first = [thoughts(Stall())] if budget else []
    server = misbehaving(*first, reply(chunk(content="It is 2.")), owner="vllm")
    got = connected(server.url).ask("?", landing="So:", thinking_budget=budget)
    assert got.answer == "It is 2."
    second = server.bodies[-1]
    prompt = continued_by_transformers(second["messages"])
    thought = f"{got.thinking}\n" if got.thinking else "\n"
    assert prompt == f"<｜User｜>?<｜Assistant｜><think>\n{thought}"
    assert second["thinking_token_budget"] == 0  # so vLLM closes it with the first token


def continued_by_transformers(messages: list[dict[str, str]]) -> str:
    """The prompt of `continue_final_message`, as transformers makes it by the template of R1.

    Raises ValueError where something of the last message is missing, as it does.
    """
    *before, last = messages
    tagged = {**last, "content": last["content"] + "TAG"}
    template = Environment().from_string(TEMPLATE.read_text())
    prompt = template.render(messages=[*before, tagged], bos_token="")
    if last["content"].strip() not in prompt:
        raise ValueError("the final message does not appear in the chat")
    return prompt[: prompt.rindex("TAG")]


def test_no_thought_at_all(misbehaving: Make, connected: Connect) -> None:
    server = misbehaving(reply(chunk(content="2.")), owner="sglang")
    got = connected(server.url).ask("?", thinking=False)
    assert (got.thinking, got.answer, got.thinking_end) == ("", "2.", "skipped")
    assert server.bodies[0]["messages"][-1]["content"] == "<think>\n\n</think>\n\n"


BEGUN = [
    {"role": "user", "content": "?"},
    {"role": "assistant", "content": "", "thinking": "Well, "},
]


def test_a_thought_that_is_begun_goes_on_and_is_cut(misbehaving: Make, connected: Connect) -> None:
    server = misbehaving(
        Answer([*(chunk(content=f"w{number} ") for number in range(40)), Stall()]),
        reply(chunk(content="2.")),
        owner="sglang",
    )
    got = connected(server.url).ask(BEGUN, thinking_budget=4)  # type: ignore[arg-type]
    assert (got.answer, got.thinking_end) == ("2.", "budget")
    first, second = (body["messages"][-1]["content"] for body in server.bodies)
    assert first == "<think>\nWell, "
    assert second == f"<think>\nWell, {got.thinking}\n</think>\n\n"


def test_a_reply_is_not_begun_where_the_server_cannot_go_on(
    misbehaving: Make, connected: Connect
) -> None:
    with pytest.raises(UsageError, match="does not go on"):
        connected(misbehaving().url).stream(BEGUN)  # type: ignore[call-overload]


def test_a_loop_is_landed_and_its_first_round_kept(misbehaving: Make, connected: Connect) -> None:
    rounds = "Let me think about the sum of these two numbers once more, so three and four. "
    many = [chunk(reasoning=rounds) for _ in range(60)]
    server = misbehaving(Answer([*many, Stall()]), reply(chunk(content="7.")), owner="sglang")
    got = connected(server.url).ask("?")
    assert (got.answer, got.thinking_end) == ("7.", "loop")
    assert server.bodies[1]["messages"][-1]["content"].count("two numbers once more") == 1


def test_answer_now_is_a_request_where_the_server_has_one(
    misbehaving: Make, connected: Connect
) -> None:
    server = misbehaving(
        thoughts(Stall()),
        owner="llamacpp",
        pages={"/v1/chat/completions/control": page({"success": True})},
    )
    stream = connected(server.url).stream("?")
    next(iter(stream))
    assert stream.finish_thinking()
    while not any("action" in body for body in server.bodies):
        stream.poll()
    assert server.bodies[-1] == {"id": "chatcmpl-1", "action": "reasoning_end"}
    stream.close()


@pytest.mark.parametrize("opening", ["", "<think>\n"])
def test_a_thought_that_the_template_has_opened(
    misbehaving: Make, connected: Connect, opening: str
) -> None:
    said = reply(chunk(content=f"{opening}Hm."), chunk(content="\n</think>\n\nYes."))
    pages = {"/v1/models": models("r1-7b", "mistral", owner="me")}
    server = misbehaving(said, said, pages=pages)
    got = connected(server.url, model="r1-7b").ask("?")
    assert (got.thinking, got.answer) == ("Hm.", "Yes.")
    unknown = connected(server.url, model="mistral").ask("?")
    assert unknown.thinking == ("Hm." if opening else "")


def test_a_server_that_takes_one_request_at_a_time(misbehaving: Make, connected: Connect) -> None:
    assert connected(misbehaving(owner="me").url).backend.max_parallel == 1
    assert connected(misbehaving(owner="vllm").url).backend.max_parallel == 16


def test_an_effort_goes_by_name_where_no_number_can(misbehaving: Make, connected: Connect) -> None:
    server = misbehaving(*[reply(chunk(content="Yes."))] * 2, owner="library")
    reasoner = connected(server.url)
    reasoner.ask("?", effort="low")
    reasoner.ask("?", thinking=False)
    assert [body["reasoning_effort"] for body in server.bodies] == ["low", "none"]


def test_tags_are_text_where_the_server_tells_the_thought_apart(
    misbehaving: Make, connected: Connect
) -> None:
    pieces = [chunk(reasoning=" </thi"), chunk(reasoning="nk> a <think> b")]
    server = misbehaving(reply(*pieces, chunk(content="Say <think> or </think>, once.")))
    got = connected(server.url).ask("?")
    assert got.thinking == "</think> a <think> b"
    assert got.answer == "Say <think> or </think>, once."


def test_a_thought_that_holds_tags_stays_one(misbehaving: Make, connected: Connect) -> None:
    """A server reads the tags in what a second request goes on from, whoever wrote them."""
    words = [chunk(reasoning=f" w{number}") for number in range(40)]
    server = misbehaving(
        Answer([chunk(reasoning=" </thi"), chunk(reasoning="nk> a <think>"), *words, Stall()]),
        reply(chunk(content="2.")),
        reply(chunk(content=" is it.")),
        owner="sglang",
    )
    reasoner = connected(server.url)
    got = reasoner.ask("?", thinking_budget=8)
    assert got.thinking.startswith("</think> a <think>")
    assert got.answer == "2."
    said = server.bodies[1]["messages"][-1]["content"]
    assert (said.count("<think>"), said.count("</think>")) == (1, 1)
    begun = {"role": "assistant", "thinking": "a </think> b", "content": "c </think> 2"}
    assert reasoner.ask([{"role": "user", "content": "?"}, begun]).answer == " is it."  # type: ignore[list-item]
    said = server.bodies[2]["messages"][-1]["content"]
    assert said == "<think>\na < /think> b\n</think>\n\nc < /think> 2"
