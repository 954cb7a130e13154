"""Reads a formula of LaTeX once from left to right, token by token."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

from minireason.cli.terminal.latex import symbols
from minireason.cli.terminal.latex.formula import Kind, Part, attached, composed
from minireason.cli.terminal.latex.matrix import as_rows, in_one_line

_MAX_DEPTH = 30
_ROW_END = "\\\\"
_TOKEN = re.compile(
    r"\\(?:begin|end)\s*\{\w+\*?\}|\\\\(?:\s*\[\s*-?[\d.]+\s*(?:pt|em|ex|mm|cm|in)\s*\])?"
    r"|\\[a-zA-Z]+|\\.|\s+|.",
    re.DOTALL,
)
SPACE = Part("", Kind.SPACE)

Macros = Mapping[str, Callable[["Reader"], Part]]
"""What reads what a macro takes and makes a part of it."""


class Unreadable(ValueError):
    """No formula: braces that do not match, a macro without what it takes, or too deep."""


def tokens_of(formula: str) -> list[str]:
    """The tokens of a formula."""
    tokens = []
    for token in _TOKEN.findall(formula):
        if token.startswith(_ROW_END):
            tokens.append(_ROW_END)
        elif token.startswith(("\\begin", "\\end")) and "{" in token:
            tokens.append("".join(token.split()))
        else:
            tokens.append(token)
    return tokens


class Reader:
    """Tokens of a formula -> parts."""

    def __init__(
        self, tokens: list[str], macros: Macros, *, display: bool = False, depth: int = 0
    ) -> None:
        self._tokens = tokens
        self._macros = macros
        self._at = 0
        self._depth = depth
        self._display = display

    def parts(self, ends: Collection[str]) -> list[Part]:
        """All up to one of these tokens, which stays unread; all there is if there are none."""
        read: list[Part] = []
        with self._deeper():
            while (token := self.peek()) is not None and token not in ends:
                self._one(read)
        if ends and self.peek() is None:
            raise Unreadable
        return read

    @contextmanager
    def _deeper(self) -> Iterator[None]:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise Unreadable
        yield
        self._depth -= 1

    def peek(self) -> str | None:
        """The token that comes next, None at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def next(self) -> str:
        """Read a token."""
        token = self.peek()
        if token is None:
            raise Unreadable
        self._at += 1
        return token

    def skip(self, wanted: str) -> bool:
        """Read spaces, and this token if it comes then; whether it did."""
        while (token := self.peek()) is not None and token.isspace():
            self._at += 1
        if token != wanted:
            return False
        self._at += 1
        return True

    def _one(self, read: list[Part]) -> None:
        """Read the next thing and put it behind what was read."""
        token = self.next()
        if token.isspace() or token == "~":
            read.append(SPACE)
        elif token in symbols.SCRIPTS:
            attached(read, token, self.argument(tight=True))
        elif token in ("'", "’"):
            attached(read, "^", "′")
        elif token == "{":
            read.append(self._group())
        elif token == "}" or token.startswith("\\end{"):
            raise Unreadable
        elif token.startswith("\\begin{"):
            read.append(self._environment(token))
        elif token == _ROW_END:
            read.append(Part("\n", Kind.PROSE) if self._display else Part(";", Kind.PLAIN))
        elif token.startswith("\\") and len(token) > 1:
            read += self._macro(token[1:])
        else:
            read.append(Part(token, Kind.PLAIN))

    def _group(self) -> Part:
        """What stands in braces, the first of which was read."""
        inside = self.parts("}")
        self.next()
        things = [part for part in inside if part.kind is not Kind.SPACE]
        return things[0] if len(things) == 1 else Part(composed(inside), Kind.GROUP)

    def atom(self) -> list[Part]:
        """What a macro or a script takes: a group, or one thing without braces."""
        if self.skip("{"):
            inside = self.parts("}")
            self.next()
            return inside
        token = self.peek()
        if token is None or token in ("&", "^", "_", _ROW_END):
            raise Unreadable
        read: list[Part] = []
        with self._deeper():
            self._one(read)
        return read

    def flat(self, read: Callable[[], list[Part]]) -> list[Part]:
        """Read something in which matrices stand in one line."""
        display, self._display = self._display, False
        parts = read()
        self._display = display
        return parts

    def argument(self, *, tight: bool = False) -> str:
        """The text of an atom."""
        return composed(self.flat(self.atom), tight=tight)

    def option(self) -> str:
        """What stands in square brackets, if they follow."""
        if not self.skip("["):
            return ""
        inside = composed(self.flat(lambda: self.parts("]")), tight=True)
        self.next()
        return inside

    def _macro(self, name: str) -> list[Part]:
        if name in symbols.DELIMITER_SIZES:
            self.skip(".")  # a delimiter that is not seen
            return []
        if name in symbols.NOTHING:
            return []
        if name in symbols.SPACES:
            return _blank(name)
        if name in symbols.PROSE:
            return [Part(self.prose(), Kind.PROSE)]
        if name in symbols.FONTS:
            return self.atom()
        if name in self._macros:
            return [self._macros[name](self)]
        return [self._named(name)]

    def _named(self, name: str) -> Part:
        """A macro that takes nothing, or one that nobody knows."""
        if name in symbols.FUNCTIONS:
            return Part(name, Kind.FUNCTION)
        if name in symbols.LIMITS:
            return Part(symbols.LIMITS[name], Kind.LARGE)
        character = symbols.symbol(name)
        if character is None:
            return self._unknown(name)
        if character in symbols.LARGE:
            return Part(character, Kind.LARGE)
        if character in symbols.SPACED:
            return Part(character, Kind.OPERATOR)
        is_letter = character.isalpha() or character in symbols.PREFIXES
        return Part(character, Kind.SYMBOL if is_letter else Kind.PLAIN)

    def _unknown(self, name: str) -> Part:
        """As it is written, with the braces of what follows at once."""
        text = f"\\{name}"
        while self.peek() == "{":
            self.next()
            text += "{" + composed(self.flat(lambda: self.parts("}"))) + "}"
            self.next()
        return Part(text, Kind.MACRO)

    def prose(self) -> str:
        """Words with their spaces; there may be formulas in dollar signs among them."""
        if not self.skip("{"):
            return self.argument()
        text = ""
        with self._deeper():
            while (token := self.peek()) != "}":
                if token == "{":
                    text += "{" + self.prose() + "}"
                    continue
                self.next()
                text += self._formula() if token == "$" else self._of_prose(token or "")
        self.next()
        return text

    def _of_prose(self, token: str) -> str:
        if token in ("", _ROW_END) or token.startswith(("\\begin{", "\\end{")):
            raise Unreadable
        if token[0] != "\\" or len(token) == 1:
            return " " if token.isspace() or token == "~" else token
        if token[1:] in symbols.SPACES:
            return symbols.SPACES[token[1:]]
        return composed(self._macro(token[1:]))

    def _formula(self) -> str:
        """A formula among words, whose dollar sign was read; or that sign, if it begins none."""
        end = self._at
        while end < len(self._tokens) and self._tokens[end] not in ("$", "{", "}"):
            end += 1
        between = self._tokens[self._at : end]
        if self._tokens[end : end + 1] != ["$"] or not between:
            return "$"
        if between[0].isspace() or between[-1].isspace():
            return "$"
        self._at = end + 1
        return composed(Reader(between, self._macros, depth=self._depth).parts(()))

    def _environment(self, token: str) -> Part:
        """A table of cells, or the lines of an equation, whose beginning was read."""
        name = token[len("\\begin{") : -1]
        kind = name.rstrip("*")
        columns = self._columns() if kind in symbols.WITH_COLUMNS else ""
        rows = self._rows(token.replace("begin", "end", 1))
        if kind not in symbols.BRACKETS and kind not in symbols.ALIGNED:
            inside = in_one_line(rows, ("", ""))
            return Part(f"{token} {inside} \\end{{{name}}}", Kind.MACRO)
        around = symbols.BRACKETS.get(kind, ("", ""))
        if self._display and len(rows) > 1:
            justify = symbols.JUSTIFIED.get(kind) or re.sub("[^lcr]", "", columns) or "c"
            return Part(as_rows(rows, around, justify=justify), Kind.GROUP)
        return Part(in_one_line(rows, around, ", " if "matrix" in kind else " "), Kind.GROUP)

    def _columns(self) -> str:
        r"""What stands behind \begin{array}: how its columns are set."""
        text = ""
        if self.skip("{"):
            while (token := self.next()) != "}":
                text += token
        return text

    def _rows(self, end: str) -> list[list[str]]:
        rows: list[list[str]] = [[]]
        while True:
            cell = composed(self.flat(lambda: self.parts((end, "&", _ROW_END))))
            rows[-1].append(cell.strip())
            token = self.next()
            if token == end:
                return [row for row in rows if any(row)] or [[""]]
            if token == _ROW_END:
                rows.append([])


def _blank(name: str) -> list[Part]:
    blank = symbols.SPACES[name]
    return [SPACE] if blank == " " else [Part(blank, Kind.PROSE)]
