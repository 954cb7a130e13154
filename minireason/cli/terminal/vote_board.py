"""How a vote looks: a live table on a terminal, plain lines in a pipe, both on standard error."""

from __future__ import annotations

import time

from rich.console import Group
from rich.table import Table
from rich.text import Text

from minireason.cli.terminal import notes, output
from minireason.cli.terminal.drawing import can_redraw
from minireason.cli.terminal.output import harmless
from minireason.cli.terminal.region import Region
from minireason.cli.terminal.wrapping import print_wrapped
from minireason.events import ThinkingDelta
from minireason.voting.solution import (
    Candidate,
    Chain,
    ChainAnswered,
    ChainCancelled,
    ChainDelta,
    ChainStarted,
    Decided,
    Solution,
    SolveEvent,
    VoteChanged,
)

_REFRESH_S = 0.1
_CANDIDATES_SHOWN = 5
_TAIL_CHARACTERS = 200

BECAUSE = {
    "all_done": "all chains are done",
    "lead": "the others could not change the outcome",
    "beta": "the leader would very likely stay the leader",
    "budget_tokens": "the token budget is used up",
    "budget_s": "the time is used up",
    "cancelled": "stopped by you",
}


class _Row:
    """A running chain."""

    def __init__(self) -> None:
        self.doing, self.tokens, self.tail = "waiting", 0, ""

    def add(self, event: ChainDelta) -> None:
        self.doing = "thinking" if isinstance(event.delta, ThinkingDelta) else "answering"
        self.tokens = event.tokens
        self.tail = (self.tail + event.delta.text)[-_TAIL_CHARACTERS:]


class Board:
    """The chains that run and the vote so far.

    `quiet` shows nothing, `show_chains` writes every chain out when it ends.
    """

    def __init__(self, quiet: bool, show_chains: bool) -> None:
        self._quiet, self._show_chains = quiet, show_chains
        self._console = output.console(errors=True)
        self._region = Region(self._console)
        self._live = can_redraw(errors_only=True) and not quiet
        self._drawn = 0.0
        self._rows: dict[int, _Row] = {}
        self._candidates: tuple[Candidate, ...] = ()

    def show(self, event: SolveEvent) -> None:
        match event:
            case ChainStarted(index=index):
                self._rows[index] = _Row()
                return  # there is nothing to see of it yet
            case ChainDelta(index=index):
                self._rows[index].add(event)
            case ChainAnswered(chain=chain) | ChainCancelled(chain=chain):
                self._rows.pop(chain.index, None)
                self._ended(chain)
            case VoteChanged(candidates=candidates):
                self._candidates = candidates
            case Decided():
                self.clear()
        if self._live and self._rows and time.monotonic() - self._drawn > _REFRESH_S:
            self._draw()

    def verdict(self, solution: Solution, *, failed: bool = False) -> None:
        """The answer on standard output, how the vote went on standard error.

        `failed`: its server ended it.
        """
        because = "the server failed" if failed else BECAUSE[solution.stopped_because]
        for note in solution.notes:
            notes.error_line(note)
        for candidate in solution.candidates[:_CANDIDATES_SHOWN]:
            self._console.print(
                _vote_line(candidate, self._console.width),
                highlight=False,
                soft_wrap=not self._console.is_terminal,
            )
        ended = sum(chain.finish != "cancelled" for chain in solution.chains)
        tokens = solution.tokens
        facts = [
            f"{ended} of {solution.planned} chains, {solution.parallel} at a time",
            because,
            f"{tokens.generated:,} tokens ({tokens.cancelled:,} of stopped chains)",
            f"{solution.total_s:.1f} s",
            f"seed {solution.seed}",
        ]
        notes.dim(" · ".join(facts), style="dim italic")
        if solution.answer is not None:
            print_wrapped(solution.answer)
        elif solution.best is not None:
            best = next(chain for chain in solution.chains if chain.index == solution.best)
            print_wrapped(best.text)

    def clear(self) -> None:
        """Take the live table off the screen."""
        self._region.clear()

    def _ended(self, chain: Chain) -> None:
        if self._quiet:
            return
        line = f"chain {chain.index + 1}: {_outcome(chain)} ({chain.tokens:,} tokens)"
        if self._show_chains:
            self.clear()
            notes.dim(f"{line}\n{chain.thinking}\n\n{chain.text}\n")
        elif not self._live:
            notes.note(line)

    def _draw(self) -> None:
        table = Table(box=None, show_header=False, padding=(0, 1), expand=True)
        for justify in ("right", "left", "right"):
            table.add_column(no_wrap=True, justify=justify)
        table.add_column(no_wrap=True, ratio=1)
        for index, row in sorted(self._rows.items()):
            words = " ".join(harmless(row.tail).split())
            tail = Text(words[-max(10, self._console.width - 30) :], style="dim")
            table.add_row(f"{index + 1}", row.doing, f"{row.tokens:,}", tail)
        lines = [
            _vote_line(candidate, self._console.width)
            for candidate in self._candidates[:_CANDIDATES_SHOWN]
        ]
        self._region.draw(Group(table, *lines))
        self._drawn = time.monotonic()


def _outcome(chain: Chain) -> str:
    """What came of a chain, in one line."""
    if chain.finish == "cancelled":
        return "stopped"
    if chain.replaced:
        return "went round in circles, replaced"
    return " ".join((chain.answer or "no answer").split())


def _vote_line(candidate: Candidate, width: int) -> Text:
    answer = " ".join(harmless(candidate.answer).split())
    bar = "█" * min(candidate.votes, width // 3)
    votes = f"{candidate.votes} ({candidate.share:.0%})"
    return Text(f"{bar} {votes}  {answer}", overflow="ellipsis")
