"""What stands within lines of markdown: formulas, code, links, emphasis.

Whatever is not one of these stays as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rich.text import Text

from minireason.cli.terminal.latex.convert import readable
from minireason.cli.terminal.markdown.emphasis import emphasised

INLINE, DISPLAY = "\x03", "\x04"
"""Each stands for a piece; the second one for a formula that may have lines of its own."""

_ENVIRONMENTS = (
    "align|aligned|alignat|gather|gathered|equation|multline|eqnarray|split|cases|array"
    "|[pbvVB]?matrix|smallmatrix"
)
_SAME_PARAGRAPH = r"(?!\n[ \t]*\n)"
_PIECE = re.compile(
    r"(?<!`)(?P<ticks>`+)(?!`)(?P<code>[^\n]+?)(?<!`)(?P=ticks)(?!`)"
    rf"|\\\[(?P<display>(?:(?!\\\[){_SAME_PARAGRAPH}.)+?)\\\]"
    rf"|\$\$(?P<dollars>(?:(?!\$\$){_SAME_PARAGRAPH}.)+?)\$\$"
    rf"|(?P<environment>\\begin\{{(?P<name>(?:{_ENVIRONMENTS})\*?)\}}"
    rf"(?:(?!\\begin\{{(?P=name)\}}){_SAME_PARAGRAPH}.)*?\\end\{{(?P=name)\}})"
    rf"|\\\((?P<inline>(?:(?!\\\(){_SAME_PARAGRAPH}.)+?)\\\)"
    r"|(?<![\\$A-Za-z0-9])\$(?P<dollar>(?![\s$])[^$\n]*?(?<![\s\\]))\$(?![A-Za-z0-9$])"
    r"|(?<![\\$])\$(?P<macro>\\[A-Za-z][^$\n]*?(?<![\s\\]))\$(?!\$)"
    r"|(?P<box>\\(?:boxed|fbox)\s*\{)"
    r"|(?P<image>!\[[^\[\]\n]*\]\([^()\n]*(?:\([^()\n]*\)[^()\n]*)*\))"
    r"|\[(?P<label>[^\[\]\n]+)\]\((?P<address>(?:[A-Za-z][A-Za-z0-9+.-]*:|www\.|\.{0,2}/|\#)"
    r"[^()\n]*(?:\([^()\n]*\)[^()\n]*)*)\)"
    r"|\\(?P<money>\$(?=\d))",
    re.DOTALL,
)
_MONEY = re.compile(r"[\d.,]+ .*?(?<![\\a-zA-Z])[a-zA-Z]{2,}")
_ONLY_A_WORD = re.compile(r"[\s,]*(?:and|or|to|with|by|as|then)[\s,]*")
"""Between signs that somebody wrote about, as in "escape \\( and \\)"."""

_BOX = re.compile("▌[^▌▐]*(?:▌[^▌▐]*▐[^▌▐]*)*▐")


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula, and how it was written with the signs around it."""

    source: str
    written: str

    def text(self, *, display: bool = False) -> Text:
        """As text; as it was written if it cannot be read."""
        shown = readable(self.source, display=display)
        text = Text(self.written if shown is None else shown)
        text.highlight_regex(_BOX, "bold")
        return text


Piece = Text | Formula


def taken_out(text: str) -> tuple[str, Iterator[Piece]]:
    """Put signs in the place of formulas, code, links and images; also return these in their order.

    The text holds no control characters but newline and tab.
    """
    closings = _closing_braces(text) if "box" in text else {}
    kept, pieces = "", list[Piece]()
    at = searched = 0
    while match := _PIECE.search(text, searched):
        end = match.end()
        if match["box"]:
            end = closings.get(end - 1, 0) + 1
        piece = _piece(match, text[match.start() : end]) if end > match.start() else None
        if piece is None:
            searched = match.start() + 1
            continue
        kept += text[at : match.start()] + _sign(match)
        pieces.append(piece)
        at = searched = end
    return kept + text[at:], iter(pieces)


def _sign(match: re.Match[str]) -> str:
    display = match["display"] or match["dollars"] or match["environment"]
    return DISPLAY if display else INLINE


def _piece(match: re.Match[str], written: str) -> Piece | None:
    """What a match stands for; None if it is text like any other."""
    if code := match["code"]:
        return Text(_unpadded(code), "markdown.code")
    if match["image"]:
        return Text(written)
    if label := match["label"]:
        return Text.assemble((label, "underline"), f" ({match['address']})")
    if match["money"]:
        return Text("$")
    if match["box"]:
        return Formula(written, written) if "\n\n" not in written else None
    groups = ("display", "dollars", "environment", "inline", "dollar", "macro")
    source = next(match[group] for group in groups if match[group])
    if _ONLY_A_WORD.fullmatch(source) or (match["dollar"] and _MONEY.match(source)):
        return None
    return Formula(source, written)


def _unpadded(code: str) -> str:
    padded = code[0] == code[-1] == " " and code.strip()
    return code[1:-1] if padded else code


def _closing_braces(text: str) -> dict[int, int]:
    """Where each brace is closed that is."""
    pairs, opened = {}, []
    for match in re.finditer(r"\\.|[{}]", text, re.DOTALL):
        if match[0] == "{":
            opened.append(match.start())
        elif match[0] == "}" and opened:
            pairs[opened.pop()] = match.start()
    return pairs


def styled(line: str, pieces: Iterator[Piece]) -> Text:
    """A line, or a part of one, with its pieces put back and its emphasis marks made styles."""
    text = Text()
    spans = emphasised(line)
    marks = {at for span in spans for at in span.marks}
    offsets: dict[int, int] = {}
    start = 0
    for sign in re.finditer(f"[*{INLINE}{DISPLAY}]", line):
        at = sign.start()
        text.append(line[start:at])
        start = at + 1
        offsets[at] = len(text)
        if sign[0] == "*":
            text.append("" if at in marks else "*")
            continue
        piece = next(pieces)
        text.append_text(piece.text() if isinstance(piece, Formula) else piece)
    text.append(line[start:])
    for span in spans:
        text.stylize(span.style, offsets[span.start], offsets[span.end])
    return text
