"""Cookies last as long as one reply: behind a load balancer they lead to the server that has it."""

from __future__ import annotations

from collections.abc import Callable

from minireason import Reasoner
from tests.backends.remote.misbehaving import Answer, Misbehaving, Stall, chunk, page, reply

Connect = Callable[..., Reasoner]
Make = Callable[..., Misbehaving]

STICKY = {"Set-Cookie": "lb=server7; Path=/; HttpOnly"}


def thoughts() -> Answer:
    """A thought of forty words that goes on, with a cookie."""
    words = [chunk(reasoning=f" w{number}") for number in range(40)]
    return Answer([*words, Stall()], headers=STICKY)


def test_the_second_request_of_a_reply_brings_its_cookie(
    misbehaving: Make, connected: Connect
) -> None:
    server = misbehaving(
        thoughts(), reply(chunk(content="2.")), reply(chunk(content="3.")), owner="sglang"
    )
    reasoner = connected(server.url)
    before = len(server.cookies)
    assert reasoner.ask("?", thinking_budget=8).answer == "2."
    assert reasoner.ask("?").answer == "3."
    assert server.cookies[before:] == [None, "lb=server7", None]


def test_answer_now_brings_it(misbehaving: Make, connected: Connect) -> None:
    control = {"/v1/chat/completions/control": page({"success": True})}
    server = misbehaving(thoughts(), owner="llamacpp", pages=control)
    stream = connected(server.url).stream("?")
    next(iter(stream))
    assert stream.finish_thinking()
    while not any("action" in body for body in server.bodies):
        stream.poll()
    assert server.cookies[-1] == "lb=server7"
    stream.close()


def test_they_do_not_add_up(misbehaving: Make, connected: Connect) -> None:
    def said(number: int) -> Answer:
        headers = {"Set-Cookie": f"c{number}={'x' * 500}", "X-Number": str(number)}
        return Answer(reply(chunk(content="Yes.")).parts, headers=headers)

    server = misbehaving(*map(said, range(20)))
    reasoner = connected(server.url)
    for _ in range(20):
        reasoner.ask("?")
    assert set(server.cookies) == {None}


def test_one_that_is_no_sticky_one_is_left(misbehaving: Make, connected: Connect) -> None:
    large = thoughts()
    large.headers = {"Set-Cookie": f"c={'x' * 5000}"}
    server = misbehaving(large, reply(chunk(content="2.")), owner="sglang")
    assert connected(server.url).ask("?", thinking_budget=8).answer == "2."
    assert set(server.cookies) == {None}
