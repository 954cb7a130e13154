"""Tell how long a prompt is before it is encoded.

So one that cannot fit costs no more than one that does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

PIECE_CHARS = 16_384
_MOST_BYTES_A_CHAR = 4  # in UTF-8; a token is at least one byte
_SPARE_SHARE, _SPARE_TOKENS = 0.05, 64


def surely_over(
    texts: Sequence[str], encode: Callable[[str], Sequence[int]], most: int
) -> int | None:
    """About how many tokens the texts have, if that is surely more than `most`.

    None if they may fit.

    They are encoded a piece at a time, and no further than until it is certain. A cut changes the
    tokens beside it, so what is only just too long is left to the caller, who encodes it whole.
    """
    total = sum(map(len, texts))
    if total * _MOST_BYTES_A_CHAR <= most:
        return None
    tokens = chars = 0
    limit = most * (1 + _SPARE_SHARE) + _SPARE_TOKENS
    for text in texts:
        for piece in _pieces(text):
            tokens += len(encode(piece))
            chars += len(piece)
            if tokens > limit:
                return tokens * total // chars
    return None


def _pieces(text: str) -> Iterator[str]:
    """The text in pieces of some length, cut before white space where there is any."""
    start = 0
    while len(text) - start > PIECE_CHARS:
        space = text.rfind(" ", start + 1, start + PIECE_CHARS)
        end = space if space > start else start + PIECE_CHARS
        yield text[start:end]
        start = end
    yield text[start:]


def most_that_fit(fits: Callable[[int], bool], most: int) -> int:
    """The largest number up to `most` that fits, 0 if none does.

    Whatever is smaller than one that fits has to fit too.

    Small ones are tried first, so that no try is of more than twice what fits.
    """
    low, high = 0, 1
    while high <= most and fits(high):
        low, high = high, 2 * high
    high = min(high, most + 1)
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return low
