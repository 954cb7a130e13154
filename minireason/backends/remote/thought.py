"""When a thought that is only text must end: the rules of `reasoning.budget` without token ids."""

from __future__ import annotations

import re
import time

from minireason.events import ThinkingEnd
from minireason.reasoning.landing import grace
from minireason.reasoning.loops import LoopDetector
from minireason.settings import Settings

NATIVE_SLACK_TOKENS = 128
"""So much beyond its budget and the grace a server may think that was told it: its own landing, and
what our count is wrong by. After that it is taken not to know the field."""

MOST_WORDS = 2**20
"""So many different words are told apart; with more nobody looks for loops any longer."""

_TAIL_CHARS = 4
_WIDE = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef"
_WORD = re.compile(rf"\s*[{_WIDE}]|\s*[^\s{_WIDE}]{{1,64}}|\s+\Z")
"""A word with the white space before it; a character of a script that has none is one too."""

_ENDS = re.compile(r"(\n|[.!?。！？])\s?\Z")


class ThoughtLimit:
    """Follows one thought; set `asked` (from any thread) to end it at once.

    `native`: the server was told the budget, and `lands_loops`: it looks for loops by itself.
    """

    def __init__(self, settings: Settings, *, native: bool, lands_loops: bool) -> None:
        self.asked = False
        self._limit, self._seconds = settings.thinking_tokens, settings.thinking_seconds
        self._slack = NATIVE_SLACK_TOKENS if native else 0
        self._tail = "\n"
        self._since: float | None = None
        self._words = Words() if settings.loop_check and not lands_loops else None

    def feed(self, text: str) -> None:
        """A piece that the thought goes on with."""
        self._since = self._since or time.perf_counter()
        self._tail = (self._tail + text)[-_TAIL_CHARS:]
        if self._words:
            self._words.feed(text)

    def over(self, tokens: int) -> ThinkingEnd | None:
        """Why the thought ends here, after so many tokens; None while it goes on."""
        if self.asked:
            return "user"
        if self._words and self._words.first_round is not None:
            return "loop"
        if self._time_is_up():
            return "budget"
        if self._limit is None:
            return None
        over = tokens - self._limit - self._slack
        is_end = over >= grace(self._limit) or (over >= 0 and bool(_ENDS.search(self._tail)))
        return "budget" if is_end else None

    def _time_is_up(self) -> bool:
        if self._seconds is None or self._since is None:
            return False
        return time.perf_counter() - self._since >= self._seconds

    def kept(self, thinking: str) -> str:
        """What of the thought the model shall see when it answers: of a loop the first round."""
        if self._words and self._words.first_round is not None:
            return thinking[: self._words.first_round]
        return thinking


class Words:
    """Looks for loops in text, a word with the white space before it standing for a token."""

    def __init__(self) -> None:
        self.first_round: int | None = None
        """Characters up to the end of the first round of a loop; None while there is none."""
        self._ids: dict[str, int] = {}
        self._words: list[str] = []
        self._ends: list[int] = [0]
        self._rest = ""
        self._loops = LoopDetector(lambda number: self._words[number].encode())

    def feed(self, text: str) -> None:
        """A piece of text; a word counts once the next one begins."""
        if self.first_round is not None or self._full:
            return
        *whole, self._rest = _WORD.findall(self._rest + text) or [""]
        for word in whole:
            self._add(word)

    @property
    def _full(self) -> bool:
        return len(self._words) >= MOST_WORDS

    def _add(self, word: str) -> None:
        if self._full:
            return
        if word not in self._ids:
            self._ids[word] = len(self._words)
            self._words.append(word)
        self._ends.append(self._ends[-1] + len(word))
        if self.first_round is None and (loop := self._loops.feed(self._ids[word])):
            self.first_round = self._ends[loop.begin]
