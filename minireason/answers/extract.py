"""The final answer in a text: what is boxed, else stated, else the last sentence's value.

All of it is read in time linear in the text, and no answer is longer than `MAX_CHARS`.
"""

from __future__ import annotations

import re

from minireason.answers.compare import key
from minireason.events import BOX

MAX_CHARS = 4_000
"""What is longer is no answer that can be compared."""

_BOXED = BOX + "{"
_BRACE = re.compile(r"\\boxed\{|\\(?!\\boxed\{).|[{}]", re.DOTALL)
"""A brace, or an escaped character, which may look like one."""
_CODE = re.compile(r"^[ \t]*(```+|~~~+).*?(?:^[ \t]*\1|\Z)", re.DOTALL | re.MULTILINE)


def boxed(text: str) -> str | None:
    """The content of the last complete \\boxed{...}, its braces balanced; None without one."""
    start, end = max(_boxes(text), default=(-1, -1))
    return text[start:end].strip() if start >= 0 else None


def final_answer(text: str) -> str | None:
    """What an answer's text comes down to; None if it does not say so.

    It is what the text says outright, else the value that its last sentence comes to. Several
    values in boxes are one answer, with commas between them.
    """
    return outright_answer(text) or _closing(text)


def outright_answer(text: str) -> str | None:
    """What is boxed or called the answer, or a multiple-choice letter; None if there is no such.

    A "final answer" behind the last box goes before it. Code is no answer that can be compared.
    """
    prose = _CODE.sub("```", text)
    return _later_final(prose) or _last_boxes(text) or _stated(prose) or _letter(prose)


def _bounded(answer: str) -> str | None:
    return answer if 0 < len(answer) <= MAX_CHARS else None


# Boxes


def _boxes(text: str) -> list[tuple[int, int]]:
    """Where the content of each complete box starts and ends, in the order of their ends."""
    opened: list[int] = []  # of each open brace where its content starts, -1 if it is not a box's
    boxes: list[tuple[int, int]] = []
    for brace in _BRACE.finditer(text):
        if brace[0] == "}" and opened:
            start = opened.pop()
            if start >= 0:
                boxes.append((start, brace.start()))
        elif brace[0].endswith("{") and brace[0] != "\\{":
            opened.append(brace.end() if brace[0] == _BOXED else -1)
    return boxes


def _outer_boxes(text: str) -> list[tuple[int, int]]:
    outer: list[tuple[int, int]] = []
    for box in _boxes(text):
        while outer and outer[-1][0] > box[0]:
            outer.pop()
        outer.append(box)
    return outer


_BREAK = re.compile(
    r"\n\s*\n|[.!?]\s|(?i:\b(?:answer|so|thus|hence|therefore|then|but|wait|actually|instead"
    r"|no|not|wrong)\b)"
)
_JOINT = re.compile(r"(?i)[,;&\n]|\\q?quad|(?<![a-z])(?:and|or)(?![a-z])")
_LETTERS = re.compile(r"[^\W\d_]")


def _last_boxes(text: str) -> str | None:
    """The last box, and those before it that belong to it: "\\boxed{1} and \\boxed{2}"."""
    boxes = _outer_boxes(text)
    together: list[str] = []
    for place in range(len(boxes) - 1, -1, -1):
        start, end = boxes[place]
        if together and not _belong(text[end + 1 : boxes[place + 1][0] - len(_BOXED)]):
            break
        together.append(text[start:end].strip())
    together.reverse()
    different = {key(content): content for content in together[-_MAX_VALUES:] if content}
    joined = ", ".join(different.values())
    return _bounded(joined) or _bounded(together[-1] if together else "")


_MAX_VALUES = 64
_MAX_GAP = 80


def _belong(between: str) -> bool:
    """Whether what stands between two boxes makes them one answer."""
    if len(between) > _MAX_GAP or _BREAK.search(between):
        return False
    return bool(_JOINT.search(between)) or not _LETTERS.search(between)


# Statements

_STATED = re.compile(
    r"""(?ix)
    (?: ^[#*_ \t]* (?P<heading> (?:final\s+)? answer) [*_]* [ \t]* \n
      | \b (?P<words> (?:final\s+)? answer | (?:correct|right) \s+ (?:choice|option)) \b [*_"]*
        (?: ,? \s+ (?:to|for|of|in|here) \b [^.:=\n]{0,80}? )?
        \s* (?: (?:is|are) \b | [:=：] )
      | (?:最终)? 答案 \s* (?:应该)? [是为：:=]
    )""",
    re.MULTILINE,
)
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|,?\s+(?:because|since)\s|[\n。！？]")
_OPEN = " \t\r\n:：*_"
_DENIED = re.compile(r"(?i)(?:not|unknown|unclear)\b")
_FORMULA = re.compile(r"\$\$[^$]+\$\$|\$(?:\\.|[^$\\\n])+\$|\\\([^\n]+?\\\)|\\\[.+?\\\]", re.DOTALL)
_VERB = re.compile(r"\b(?:is|are|equals?)\b")
_WORD = re.compile(r"[^\W\d_]{2,}")
_MAX_STATEMENTS = 32
_MAX_STATED = 2_000
"""How far behind the marker the end of a statement is looked for."""


def _statements(text: str, start: int) -> list[re.Match[str]]:
    """The last statements from `start` on, the very last first."""
    return list(_STATED.finditer(text, start))[: -_MAX_STATEMENTS - 1 : -1]


def _stated(text: str) -> str | None:
    """What follows the last "answer is", "Answer:" or heading "Answer", to the sentence's end."""
    for match in _statements(text, 0):
        if stated := _statement(text, match.end()):
            return stated
    return None


def _later_final(text: str) -> str | None:
    """What is called the final answer behind the last box, if it is a value and no remark."""
    last_box = text.rfind(BOX)
    if last_box < 0:
        return None
    for match in _statements(text, last_box):
        name = match["heading"] or match["words"] or ""
        stated = _statement(text, match.end())
        if name.casefold().startswith("final") and stated and _is_value(stated):
            return stated
    return None


def _is_value(stated: str) -> bool:
    return bool(re.search(r"[\d$\\]", stated)) or len(stated.split()) <= 3


def _statement(text: str, start: int) -> str | None:
    rest = text[start : start + _MAX_STATED].lstrip(_OPEN)
    formula = _FORMULA.match(rest)
    end = _SENTENCE_END.search(rest, formula.end() if formula else 0)
    if not end and len(text) > start + _MAX_STATED:
        return None
    sentence = rest[: end.start()] if end else rest
    stated = _bare(sentence)
    if not stated or _DENIED.match(stated) or BOX in stated:
        return None
    words = _WORD.findall(_FORMULA.sub(" ", sentence))
    if len(words) >= 4 or _VERB.search(stated):
        return _value_in(sentence) or stated
    return stated


_ALONE = re.compile(r"\W*([A-J])\W*|\(?([A-J])\)[ \t]+\S.*|([A-J])[.:][ \t]+\S.*", re.DOTALL)
_OPTION = re.compile(r"\b(?:[Oo]ption|[Cc]hoice)\s+\W{0,3}([A-J])\b")


def _letter(text: str) -> str | None:
    whole = _ALONE.fullmatch(text.strip())
    if whole:
        return next(letter for letter in whole.groups() if letter)
    options = _OPTION.findall(text)
    return str(options[-1]) if options else None


def _bare(text: str) -> str:
    """Without markdown, mathematics marks and quotes around it, and the full stop behind it."""
    before = None
    while text != before:
        before = text
        text = text.strip(" \t\r\n*_`\"'$").removesuffix(".")
        for opening, closing in (("\\(", "\\)"), ("\\[", "\\]")):
            if text.startswith(opening) and text.endswith(closing):
                text = text[2:-2]
    return text


# Sentences

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


def _closing(text: str) -> str | None:
    """The value that the last sentence comes to, if it draws a conclusion or is no more than it."""
    prose = _FORMULA.sub(_on_one_line, _CODE.sub("```", text)[-_TAIL:])
    prose = _POLITE.sub(" ", prose).rstrip(" \t\r\n*_\"'")
    if prose.endswith(("?", "？")):
        return None
    sentences = [part for part in _FULL_STOP.split(prose) if part.strip()]
    if len(text) > _TAIL and len(sentences) < 2:  # its beginning was cut off
        return None
    if not sentences or _LIST_ITEM.match(sentences[-1]):
        return None
    return _value_in(sentences[-1], closing=True)


def _on_one_line(formula: re.Match[str]) -> str:
    """Without line breaks inside, and with one behind it if a sentence ends in it."""
    line = " ".join(formula[0].split())
    return line + "\n" if _ENDS_IN_FORMULA.search(line) else line


def _value_in(sentence: str, *, closing: bool = False) -> str | None:
    """What is at the end behind "is", "=" or a colon, else the only value in the sentence.

    A `closing` sentence has to draw a conclusion, show a formula, or have no other words.
    """
    formulas = _FORMULA.findall(sentence)
    text = _FORMULA.sub(_PLACE, sentence.replace(_PLACE, "")).strip(" \t\r\n*_").rstrip(".")

    def written(value: str, start: int) -> str | None:
        number = text.count(_PLACE, 0, start)
        if _PLACE in value:
            return _bare(value.replace(_PLACE, formulas[number], 1))
        return _bare(_TIGHT_UNIT.sub(" ", value))

    comes_to = _COMES_TO.search(text)
    if comes_to and not _ONE_OF_SEVERAL.search(text, 0, comes_to.start()):
        return written(comes_to["value"], comes_to.start("value"))
    values = [written(match[0], match.start()) for match in _SINGLE.finditer(text)]
    values = [value for value in values if value and not _MEANS_NOTHING.fullmatch(value)]
    words = len(_WORD.findall(text))
    if len(values) != 1 or (closing and words > 2 and not formulas and not _CONCLUDES.match(text)):
        return None
    return values[0]
