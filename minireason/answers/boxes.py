"""The boxes in a text, by which R1 distills mark their answers: \\boxed{...}."""

from __future__ import annotations

import re

from minireason.answers.compare import key
from minireason.events import BOX

MAX_CHARS = 4_000
"""What is longer is no answer that can be compared."""

_MAX_VALUES = 64
_MAX_GAP = 80

_BOXED = BOX + "{"
_BRACE = re.compile(r"\\boxed\{|\\(?!\\boxed\{).|[{}]", re.DOTALL)
"""A brace, or an escaped character, which may look like one."""
_BREAK = re.compile(
    r"\n\s*\n|[.!?]\s|(?i:\b(?:answer|so|thus|hence|therefore|then|but|wait|actually|instead"
    r"|no|not|wrong)\b)"
)
_JOINT = re.compile(r"(?i)[,;&\n]|\\q?quad|(?<![a-z])(?:and|or)(?![a-z])")
_LETTERS = re.compile(r"[^\W\d_]")


def boxed(text: str) -> str | None:
    """The content of the last complete \\boxed{...}, its braces balanced; None without one."""
    start, end = max(_boxes(text), default=(-1, -1))
    return text[start:end].strip() if start >= 0 else None


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


def last_boxes(text: str) -> str | None:
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


def _belong(between: str) -> bool:
    """Whether what stands between two boxes makes them one answer."""
    if len(between) > _MAX_GAP or _BREAK.search(between):
        return False
    return bool(_JOINT.search(between)) or not _LETTERS.search(between)


def _bounded(answer: str) -> str | None:
    return answer if 0 < len(answer) <= MAX_CHARS else None
