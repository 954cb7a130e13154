"""Where a text is cut before llama.cpp splits it into words, so that no word can crash it.

For a third of its kinds of vocabulary llama.cpp uses std::regex, whose recursion is as deep as a
match is long: 27,000 characters in one end 8 MB of stack, and a thread may have an eighth of that.
What one match of any of these expressions can run over is in `_RUNS`. A run of more than LONGEST is
cut where the kind's expressions end a word in any case, so that the tokens stay the same; minified
JSON, addresses, base64 and code have such places. Only where a run has none does a token change.

The kinds are the values of `tokenizer.ggml.pre`, their expressions are in `llm_tokenizer_bpe` of
llama.cpp's src/llama-vocab.cpp, those that it has written out in `unicode_regex_split_custom` of
src/unicode.cpp.
"""

from __future__ import annotations

import re
from collections.abc import Collection

LONGEST = 1000
"""Characters of a run that are handed over in one piece."""

UNCUT = frozenset(
    "a.x-4.0 chatglm-bpe codeshell command-r dbrx deepseek-r1-qwen exaone exaone4 f2llmv2 falcon-h1"
    " falcon3 gemma4 gigachat glm4 glm5 gpt-2 granite-docling granite-embed-multi-311m grok-2"
    " hunyuan jais jina-de jina-es jina-v1-en jina-v2-code jina-v2-de jina-v2-es jina-v5-nano"
    " kimi-k2 kormo laguna lfm2 llama-bpe llama-v3 llama3 megrez mellum mellum2 midm-2.0"
    " minerva-7b modern-bert mpt olmo phi-2 pixtral qwen2 qwen35 refact roberta-bpe sarvam-moe"
    " smaug-bpe smollm solar-open stablelm2 starcoder trillion".split()
)
"""Kinds whose words llama.cpp finds with code of its own, however long they are."""

_RUNS = (
    re.compile(r"\s+"),
    re.compile(r"[^ \t\n\v\f\r]+"),  # words of any script; some expressions do not split at digits
    re.compile(r"[\r\n/]+"),  # what gpt-4o and tekken let follow punctuation
    re.compile(r"[^\t\n\v\f\r!-@\[-`{-~]+"),  # exaone-moe: words and single spaces
)

_NUMBER_RUNS = (re.compile(r"[^\W_A-Za-z]+"),)
"""All that superbpe's expressions run over are numbers; its words have spaces in them."""

_PUNCTUATION = r"!-&(-/:-@\[-`{-~。，、"  # without the apostrophe, which may belong to the word
_LETTERS = r"A-Za-z\u3040-\u30ff\u4e00-\u9fff"
_WORD_ENDS = re.compile(
    rf"(?<=[^\W_])(?=[{_PUNCTUATION}])|(?<=[{_LETTERS}])(?=[0-9])|(?<=\S)(?= [^\W\d_])"
)
"""Where nearly all expressions end a word: a letter or digit before punctuation, a letter before a
digit, anything before a space and a word."""

_BLOOM = r"(\s|.,!?…。，、।۔،)"  # what its words do not have in them
_BLOOM_ENDS = re.compile(rf"(?<=[^{_BLOOM}])(?=[{_BLOOM}])")
_ENDS = {
    "bloom": _BLOOM_ENDS,
    "gpt3-finnish": _BLOOM_ENDS,
    "poro-chat": _BLOOM_ENDS,
    "viking": re.compile(rf"{_BLOOM_ENDS.pattern}|(?=[0-9])"),
}


def pieces(text: str, kind: str = "default", whole: Collection[str] = ()) -> list[str]:
    """The text in pieces, which is the text itself where no run is too long for the kind.

    None of the strings in `whole` is cut.
    """
    if len(text) <= LONGEST or kind in UNCUT:
        return [text]
    runs = _NUMBER_RUNS if kind == "superbpe" else _RUNS
    ends = _ENDS.get(kind, _WORD_ENDS)
    cuts: set[int] = set()
    for run in runs:
        for match in run.finditer(text):
            if match.end() - match.start() > LONGEST:
                cuts.update(_cuts(text, match.start(), match.end(), ends))
    for literal in whole if cuts else ():
        cuts = {_before(text, literal, cut) for cut in cuts}
    places = sorted(cuts - {0, len(text)})
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


def _cuts(text: str, start: int, end: int, ends: re.Pattern[str]) -> list[int]:
    """The places to cut one run at: ends of words as far as there are any."""
    cuts = []
    while end - start > LONGEST:
        places = [place.start() for place in ends.finditer(text, start + 1, start + LONGEST + 1)]
        start = places[-1] if places else start + LONGEST
        cuts.append(start)
    return cuts


def _before(text: str, literal: str, cut: int) -> int:
    """The cut, or the beginning of a literal that it would fall into."""
    start = text.find(literal, max(0, cut - len(literal) + 1), cut + len(literal) - 1)
    return start if 0 <= start < cut else cut
