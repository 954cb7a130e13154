"""The final answer in a text: what is boxed, else stated, else the last sentence's value.

All of it is read in time linear in the text, and no answer is longer than `boxes.MAX_CHARS`.
"""

from __future__ import annotations

import re

from minireason.answers.boxes import last_boxes
from minireason.answers.sentences import FORMULA, WORD, bare, closing_value, value_in, without_code
from minireason.events import BOX

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
_VERB = re.compile(r"\b(?:is|are|equals?)\b")
_MAX_STATEMENTS = 32
_MAX_STATED = 2_000
"""How far behind the marker the end of a statement is looked for."""
_ALONE = re.compile(r"\W*([A-J])\W*|\(?([A-J])\)[ \t]+\S.*|([A-J])[.:][ \t]+\S.*", re.DOTALL)
_OPTION = re.compile(r"\b(?:[Oo]ption|[Cc]hoice)\s+\W{0,3}([A-J])\b")


def final_answer(text: str) -> str | None:
    """What an answer's text comes down to; None if it does not say so.

    It is what the text says outright, else the value that its last sentence comes to. Several
    values in boxes are one answer, with commas between them.
    """
    return outright_answer(text) or closing_value(text)


def outright_answer(text: str) -> str | None:
    """What is boxed or called the answer, or a multiple-choice letter; None if there is no such.

    A "final answer" behind the last box goes before it. Code is no answer that can be compared.
    """
    prose = without_code(text)
    return _later_final(prose) or last_boxes(text) or _stated(prose) or _letter(prose)


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
    formula = FORMULA.match(rest)
    end = _SENTENCE_END.search(rest, formula.end() if formula else 0)
    if not end and len(text) > start + _MAX_STATED:
        return None
    sentence = rest[: end.start()] if end else rest
    stated = bare(sentence)
    if not stated or _DENIED.match(stated) or BOX in stated:
        return None
    words = WORD.findall(FORMULA.sub(" ", sentence))
    if len(words) >= 4 or _VERB.search(stated):
        return value_in(sentence) or stated
    return stated


def _letter(text: str) -> str | None:
    whole = _ALONE.fullmatch(text.strip())
    if whole:
        return next(letter for letter in whole.groups() if letter)
    options = _OPTION.findall(text)
    return str(options[-1]) if options else None
