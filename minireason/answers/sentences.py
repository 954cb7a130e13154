"""What a sentence comes to: its value, without the words and marks around it."""

from __future__ import annotations

import re

FORMULA = re.compile(r"\$\$[^$]+\$\$|\$(?:\\.|[^$\\\n])+\$|\\\([^\n]+?\\\)|\\\[.+?\\\]", re.DOTALL)
"""Mathematics in a text."""
WORD = re.compile(r"[^\W\d_]{2,}")
"""A word of letters."""
_CODE = re.compile(r"^[ \t]*(```+|~~~+).*?(?:^[ \t]*\1|\Z)", re.DOTALL | re.MULTILINE)
_TAIL = 1_000
"""How far back the last sentence is looked for."""
_POLITE = re.compile(
    r"(?i)\b(?:I hope|hope (?:this|that|it)|let me know|feel free)\b[^\n]*|<\|[^|\n]*\|>\w*\s*$"
)
_FULL_STOP = re.compile(r"[.!?](?=\s|$)|[\n。！？]")
_ENDS_IN_FORMULA = re.compile(r"[.!?]\s*(?:\$+|\\\)|\\\])$")
_LIST_ITEM = re.compile(r"\s*(?:[-*+•]|\d+[.)])\s")
_PLACE = "\ue000"
"""Stands for a formula while its sentence is read."""
_VALUE = (
    rf"(?:{_PLACE}[^\s\w]*|[(\[][^()\[\]]*\d[^()\[\]]*[)\]]|[^\s=]*\d[^\s=]*(?:\s?[-+*/^]\s?\S+)*)"
)
_COMES_TO = re.compile(
    rf"""(?x) (?: \b(?:is|are|was|were|be|equals?|becomes?|gives|yields)\b | 's\b | [:：=≈] )
    \s* (?: (?:equal\sto|about|approximately|exactly|only|just|now|thus|therefore) \s+ )?
    (?P<value> {_VALUE} ) (?: \s+ [^\W\d_]+ ){{0,3}} \s* $"""
)
_ONE_OF_SEVERAL = re.compile(
    rf"(?:{_PLACE}|\d)[^\s,]*?(?:\s*\\+text\{{)?\s*"
    r"(?:,|(?<![a-zA-Z])(?:and|or)(?![a-z]))[\s}]*\S{0,12}\s*$"
)
_TIGHT_UNIT = re.compile(r"(?<=\d)(?=[a-zµ]{1,3}[²³]$)")
_SINGLE = re.compile(
    rf"{_PLACE}|[(\[][^()\[\]]*\d[^()\[\]]*[)\]]"
    r"|(?<![\w.])[-.]?[$€£¥]?\d+(?:[.,/]\d+)*%?(?![^\W\d_])"
)
_MEANS_NOTHING = re.compile(r"[\\${}()\[\]\s]*[a-zA-Z]*(?:\([^()\d]*\))?[\\${}()\[\]\s]*")
_CONCLUDES = re.compile(
    r"(?i)\W*(?:so|thus|hence|therefore|finally|in total|altogether|we (?:get|find|have|obtain))\b"
)


def closing_value(text: str) -> str | None:
    """The value that the last sentence comes to, if it draws a conclusion or is no more than it."""
    prose = FORMULA.sub(_on_one_line, without_code(text)[-_TAIL:])
    prose = _POLITE.sub(" ", prose).rstrip(" \t\r\n*_\"'")
    if prose.endswith(("?", "？")):
        return None
    sentences = [part for part in _FULL_STOP.split(prose) if part.strip()]
    if len(text) > _TAIL and len(sentences) < 2:  # its beginning was cut off
        return None
    if not sentences or _LIST_ITEM.match(sentences[-1]):
        return None
    return value_in(sentences[-1], closing=True)


def _on_one_line(formula: re.Match[str]) -> str:
    """Without line breaks inside, and with one behind it if a sentence ends in it."""
    line = " ".join(formula[0].split())
    return line + "\n" if _ENDS_IN_FORMULA.search(line) else line


def value_in(sentence: str, *, closing: bool = False) -> str | None:
    """What is at the end behind "is", "=" or a colon, else the only value in the sentence.

    A `closing` sentence has to draw a conclusion, show a formula, or have no other words.
    """
    formulas = FORMULA.findall(sentence)
    text = FORMULA.sub(_PLACE, sentence.replace(_PLACE, "")).strip(" \t\r\n*_").rstrip(".")

    def written(value: str, start: int) -> str | None:
        number = text.count(_PLACE, 0, start)
        if _PLACE in value:
            return bare(value.replace(_PLACE, formulas[number], 1))
        return bare(_TIGHT_UNIT.sub(" ", value))

    comes_to = _COMES_TO.search(text)
    if comes_to and not _ONE_OF_SEVERAL.search(text, 0, comes_to.start()):
        return written(comes_to["value"], comes_to.start("value"))
    values = [written(match[0], match.start()) for match in _SINGLE.finditer(text)]
    values = [value for value in values if value and not _MEANS_NOTHING.fullmatch(value)]
    words = len(WORD.findall(text))
    if len(values) != 1 or (closing and words > 2 and not formulas and not _CONCLUDES.match(text)):
        return None
    return values[0]


def without_code(text: str) -> str:
    """The text with its blocks of code left out."""
    return _CODE.sub("```", text)


def bare(text: str) -> str:
    """Without markdown, mathematics marks and quotes around it, and the full stop behind it."""
    before = None
    while text != before:
        before = text
        text = text.strip(" \t\r\n*_`\"'$").removesuffix(".")
        for opening, closing in (("\\(", "\\)"), ("\\[", "\\]")):
            if text.startswith(opening) and text.endswith(closing):
                text = text[2:-2]
    return text
