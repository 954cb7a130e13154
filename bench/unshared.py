"""Give the chains of a vote tokens of their own without reading each of them.

For the commit before streams of their own: its unified cache shares the cells of a common prompt,
so that a vote whose chains are long cannot be had by giving it a long prompt. One prompt is read,
and its state put into the other slots, each said to hold a prompt that begins otherwise. What the
cells hold is of no importance to speed.
"""

from __future__ import annotations

from typing import Any

from minireason import Reasoner
from minireason.engine.library import C


def fill(reasoner: Reasoner, text: str, chains: int, tokens: int) -> list[str]:
    """One question for each chain, whose prompt its slot holds; there is room for `tokens` more."""
    backend: Any = reasoner.backend
    questions = [f"{index:02} {text}" for index in range(chains)]
    prompts = [
        backend.encoder.encode([{"role": "user", "content": question}]).ids
        for question in questions
    ]
    reasoner.ask(questions[0], max_tokens=1)
    scheduler = backend.scheduler
    scheduler.reserve(chains * (len(prompts[0]) + tokens + 64))
    slots = scheduler.cache.slots
    held, _ = scheduler.cache.match(prompts[0])
    pointer = backend.context.owner.pointer
    size = C.llama_state_seq_get_size(pointer, held.index)
    state = (C.llama_state_seq_get_data.argtypes[1]._type_ * size)()
    written = C.llama_state_seq_get_data(pointer, state, size, held.index)
    spare = [slot for slot in slots if slot is not held]
    for slot, prompt in zip([held, *spare], prompts, strict=False):
        if slot is not held:
            scheduler.cache.trim(slot, 0)
            if C.llama_state_seq_set_data(pointer, state, written, slot.index) != written:
                raise SystemExit("the state of a slot did not go into another one")
        slot.cached = prompt[: len(held.cached)]
        slot.prompt_tokens = len(prompt)
    return questions
