from __future__ import annotations

import pytest

from minireason import Message, Reasoner
from minireason.testing import ScriptedBackend
from minireason.voting.ballot import canonical
from minireason.voting.chain import INSTRUCTION, chain_seed, instruction_for, with_instruction


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ('{"a": 1, "b": [1, 2]}', '{"b":[1,2],  "a":1}', True),
        ('{"a": [1, 2]}', '{"a": [2, 1]}', False),
        ('"ü"', '"\\u00fc"', True),
        ("yes", "yes", True),
        ("yes", "Yes", False),
    ],
)
def test_json_in_one_form(first: str, second: str, same: bool) -> None:
    assert (canonical(first) == canonical(second)) is same


def test_instruction() -> None:
    assert instruction_for(None, bare=True) == ""
    assert instruction_for(None, bare=False) == INSTRUCTION
    assert instruction_for(None, bare=False, structured=True) == ""
    assert instruction_for("Be brief.", bare=True, structured=True) == "Be brief."
    messages = [Message(role="system", content="s"), Message(role="user", content="q")]
    assert with_instruction(messages, INSTRUCTION)[-1]["content"] == f"q\n{INSTRUCTION}"
    assert messages[-1]["content"] == "q"


@pytest.mark.parametrize("bare", [True, False])
def test_a_backend_says_whether_its_questions_stay_bare(bare: bool) -> None:
    backend = ScriptedBackend("\\boxed{4}", bare_questions=bare)
    Reasoner(backend).solve("What is 2 + 2?", samples=1)
    asked = backend.requests[0].messages[-1]["content"]
    assert asked == ("What is 2 + 2?" if bare else f"What is 2 + 2?\n{INSTRUCTION}")


def test_a_seed_is_the_same_on_every_machine() -> None:
    assert chain_seed(1, 0) == 898855163


def test_seeds_of_neighbours_differ() -> None:
    assert len({chain_seed(1, item, chain) for item in range(50) for chain in range(50)}) == 2500
