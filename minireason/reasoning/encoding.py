"""Text from outside -> token ids, none of which is a special token's."""

from __future__ import annotations

import itertools

from minireason.engine.base import Vocabulary


def encode_text(vocabulary: Vocabulary, text: str) -> list[int]:
    """Token ids of text from outside; whatever literals it contains, no id is a special token's.

    `parse_special=False` is not enough: llama.cpp still turns literals of user-defined tokens,
    which <think> and </think> are in R1's vocabulary, into those tokens. So the text is cut inside
    every literal and the pieces are encoded one by one.
    """
    cuts = {0, len(text)}
    for literal in vocabulary.special:
        index = text.find(literal) if len(literal) > 1 else -1
        while index >= 0:
            cuts.add(index + 1)
            index = text.find(literal, index + 1)
    pieces = [text[start:end] for start, end in itertools.pairwise(sorted(cuts))]
    ids = [token for piece in pieces for token in vocabulary.tokenize(piece, parse_special=False)]
    forbidden = {token for literal, token in vocabulary.special.items() if len(literal) > 1}
    if forbidden.isdisjoint(ids):
        return ids
    # No vocabulary is known to come here; a character alone is never a special token.
    return [token for char in text for token in vocabulary.tokenize(char, parse_special=False)]
