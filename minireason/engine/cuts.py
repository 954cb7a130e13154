"""Where a text is cut before llama.cpp splits it into words, so that no word is long enough to
crash it.

For 32 of its 91 kinds of vocabulary llama.cpp uses std::regex, whose recursion is as deep as a
match is long: 27,000 characters in one end 8 MB of stack, and a thread may have an eighth of that.
What one match of any of these expressions can run over is in `_RUNS`. Text that people write has no
such run of more than LONGEST, and is never cut.
"""

from __future__ import annotations

import re
from collections.abc import Collection

LONGEST = 1000
"""Characters of a run that are handed over in one piece."""

_RUNS = (
    re.compile(r"\s+"),
    re.compile(r"[^ \t\n\v\f\r]+"),  # words of any script; some expressions do not split at digits
    re.compile(r"[\r\n/]+"),  # what gpt-4o and tekken let follow punctuation
    re.compile(r"[^\t\n\v\f\r!-@\[-`{-~]+"),  # exaone-moe: words and single spaces
)

_BOUNDARY = re.compile(r"(?<=[^\W\d_])(?=[.,!?()。，、]|\d)|(?<=[^\s])(?= [^\W\d_])")
"""Where every expression but those of superwords ends a word: a letter before punctuation or a
digit, a space before a word."""


def pieces(text: str, whole: Collection[str] = ()) -> list[str]:
    """The text in pieces, which is the text itself where no run is too long; none of the strings in
    `whole` is cut."""
    if len(text) <= LONGEST:
        return [text]
    cuts: set[int] = set()
    for run in _RUNS:
        for match in run.finditer(text):
            if match.end() - match.start() > LONGEST:
                cuts.update(_cuts(text, match.start(), match.end()))
    for literal in whole if cuts else ():
        cuts = {_before(text, literal, cut) for cut in cuts}
    places = sorted(cuts - {0, len(text)})
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


def _cuts(text: str, start: int, end: int) -> list[int]:
    """The places to cut one run at: word boundaries as far as there are any."""
    cuts = []
    while end - start > LONGEST:
        ends = [end.start() for end in _BOUNDARY.finditer(text, start + 1, start + LONGEST + 1)]
        start = ends[-1] if ends else start + LONGEST
        cuts.append(start)
    return cuts


def _before(text: str, literal: str, cut: int) -> int:
    """The cut, or the beginning of a literal that it would fall into."""
    start = text.find(literal, max(0, cut - len(literal) + 1), cut + len(literal) - 1)
    return start if 0 <= start < cut else cut
