"""How long prompts are taken to be, on a server of tiny: a token a character, where four are taken
for one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import minireason
from minireason import Reasoner
from minireason.testing import ScriptedBackend
from tests.server.serving import Served

DIGITS = "What is 1 + 2? " + "7 3 1 9 " * 90


@pytest.fixture
def tiny(served: Callable[..., Served], connected: Callable[..., Reasoner]) -> Reasoner:
    """Its server is of its own: long prompts change the last bits of what comes later."""
    return connected(f"{served(minireason.load('tiny', n_threads=1)).url}v1")


def test_old_turns_leave_the_prompt_by_what_the_server_counts(tiny: Reasoner) -> None:
    chat = tiny.chat(thinking=False, max_tokens=1)
    for _ in range(8):
        chat.send(DIGITS)
    assert len(chat.turns) == 8
    assert chat.left_out > 0
    assert tiny.count_tokens(DIGITS) == pytest.approx(len(DIGITS), rel=0.1)


def test_a_prompt_that_was_too_long_is_shorter_the_next_time(tiny: Reasoner) -> None:
    chat = Reasoner(ScriptedBackend("Yes.", n_ctx=100_000)).chat()
    for _ in range(8):
        chat.send(DIGITS)
    chat.use(tiny)
    with pytest.raises(minireason.ContextFull):
        chat.send(DIGITS, max_tokens=1)
    chat.send(DIGITS, max_tokens=1)
    assert chat.left_out > 0


def test_a_sparse_text_after_a_dense_one_is_still_asked(tiny: Reasoner) -> None:
    tiny.ask(DIGITS, max_tokens=1)
    backend = tiny.backend
    assert tiny.count_tokens(DIGITS * 5) > tiny.n_ctx / 2
    backend.check(tiny.defaults, tiny.n_ctx)
