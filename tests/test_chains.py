"""What chains are asked, and their seeds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from minireason import Message
from minireason.chains import INSTRUCTION, chain_seed, instruction_for, with_instruction
from minireason.settings import MAX_SEED


def test_instruction() -> None:
    assert instruction_for("tiny", None) == "", "tiny knows bare questions only"
    assert instruction_for("r1-7b:Q4_K_M", None) == INSTRUCTION
    assert instruction_for("tiny", "Be brief.") == "Be brief."
    messages = [Message(role="system", content="s"), Message(role="user", content="q")]
    assert with_instruction(messages, INSTRUCTION)[-1]["content"] == f"q\n{INSTRUCTION}"
    assert messages[-1]["content"] == "q"


@given(st.integers(0, MAX_SEED), st.integers(0, 10_000), st.integers(0, 10_000))
def test_seeds_can_be_repeated_and_differ(base: int, item: int, chain: int) -> None:
    seed = chain_seed(base, item, chain)
    assert seed == chain_seed(base, item, chain)
    assert 0 <= seed <= MAX_SEED
    assert len({seed, chain_seed(base, item, chain + 1), chain_seed(base, item + 1, chain), chain_seed(base, item, chain, "again")}) == 4


def test_a_seed_is_the_same_on_every_machine() -> None:
    assert chain_seed(1, 0) == 898855163
