"""The chat itself: read, ask, show, until it is left."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from minireason.backends.capabilities import OneOfSeveral
from minireason.cli import outcome, wording
from minireason.cli.chat import terminal
from minireason.cli.chat.context_use import ContextUse
from minireason.cli.chat.reading import Reader
from minireason.cli.options import Asked
from minireason.cli.terminal import facts, notes, retrying, show
from minireason.cli.terminal.answer import Answer
from minireason.cli.terminal.drawing import can_redraw
from minireason.cli.terminal.live import LiveThinking
from minireason.cli.terminal.progress import Progress
from minireason.cli.terminal.thinking import THINKING, Thinking
from minireason.conversation.session import Session
from minireason.conversation.turn import TurnStream
from minireason.errors import ContextFull, EngineError, MinireasonError, ServerError, UsageError
from minireason.events import Reply
from minireason.reasoner import Reasoner
from minireason.settings import Settings

SET_BY = {"effort": "/effort", "thinking_budget": "/budget"}
"""Settings by the command that changes them, instead of the option."""

LEAVE_WITHIN_S = 3.0
"""Two Ctrl-C on an empty prompt this close together leave."""


@dataclass
class Chat:
    """Everything that a command may look at or change.

    `open` loads a model by the name that `model` is for the one in use. `thinking` is "fold" (a
    few live lines, then one), "hide", or what `Thinking` takes; `draft` is what the next input
    line begins with; `files` go with the next question; `thought` is that of the last reply, also
    of one that was stopped.
    """

    reasoner: Reasoner
    session: Session
    settings: dict[str, Any]
    open: Callable[[str], Reasoner]
    model: str
    thinking: str = "fold"
    draft: str = ""
    files: list[tuple[str, str]] = field(default_factory=list)
    running: TurnStream | None = None
    thoughts: Thinking = field(init=False)
    told_left_out: int = field(init=False, default=0)
    _code: int = field(init=False, default=0)
    thought: str = field(init=False, default="")
    context_use: ContextUse = field(init=False, default_factory=ContextUse)
    _on_prefill: Callable[[int, int], None] = field(init=False, default=lambda _done, _total: None)

    def __post_init__(self) -> None:
        self.thoughts = _thoughts(self.thinking)

    @property
    def exit_code(self) -> int:
        """The largest code of its replies in a pipe; 0 at a terminal, where they were seen."""
        return 0 if _at_terminal() else self._code

    def show_thinking_as(self, thinking: str) -> None:
        """Show the thoughts to come in another way; raises UsageError."""
        before, self.thoughts, self.thinking = self.thoughts, _thoughts(thinking), thinking
        before.close()

    def recall_thought(self) -> None:
        """Let the thought of the last turn be the one that is shown; none where there is none."""
        turns = self.session.turns
        self.thought = turns[-1].thinking if turns else ""

    def run(self, reader: Reader, command: Callable[[Chat, str], bool]) -> None:
        """Go on until the input ends, a command says so, or Ctrl-C comes twice on an empty line."""
        interrupted_at = -LEAVE_WITHIN_S
        while True:
            draft, self.draft = self.draft, ""
            try:
                line = reader.read(draft).strip()
                if line and command(self, line):
                    return
            except EOFError:
                return
            except KeyboardInterrupt:
                if time.monotonic() - interrupted_at < LEAVE_WITHIN_S:
                    self._code = outcome.INTERRUPTED
                    return
                interrupted_at = time.monotonic()
                notes.note("(Ctrl-C once more, /exit or Ctrl-D leaves)")

    def ask(self, question: str, *, again: bool = False, alone: bool = False) -> None:
        """Ask and show the reply; whatever goes wrong is told, and nothing is lost.

        A server that fails is told at a terminal; in a pipe it raises ServerError, for the
        questions that follow would fail too.

        `again`: in the place of the last turn; `alone`: the files wait for another question.
        """
        files = [] if alone else self.files
        parts = [question] + [f"{name}:\n```\n{text}\n```" for name, text in files]
        unsaved = self.session.unsaved
        try:
            self.running = self._begin("\n\n".join(parts), again)
            files.clear()
            with terminal.keys_unseen():
                reply = self._show(self.running)
            self.context_use.note(self.session, reply, estimated=self.running.estimated)
            facts.reply_facts(reply, folded=self.thinking == "fold")
            self._judge(reply)
        except (ContextFull, UsageError) as error:
            self._ended_with(outcome.PARTLY_DONE)
            self.draft = question
            clear = " /clear starts afresh." if isinstance(error, ContextFull) else ""
            notes.error_line(f"{self.in_words(error)}{clear}")
        except (EngineError, ServerError) as error:
            if isinstance(error, ServerError) and not _at_terminal():
                raise
            self._ended_with(outcome.PARTLY_DONE)
            notes.error_line(f"{error} /retry asks again.")
        except KeyboardInterrupt:
            self._ended_with(outcome.INTERRUPTED)
            notes.note("(stopped; /retry asks again)")
        finally:
            if self.running:
                self.running.close()  # where the terminal is gone, nothing else may come to that
                self.thought = self.running.reply.thinking
            self.running = None
        if self.session.unsaved and not unsaved:
            notes.error_line(
                f"{self.session.unsaved} It goes on, and is saved once that is possible."
            )

    def _judge(self, reply: Reply) -> None:
        """Say what a reply lacks, and keep it for the exit code."""
        structured = Settings(**self.settings).structured
        served = isinstance(self.reasoner.backend, OneOfSeveral)
        if problem := outcome.missing(reply, structured=structured, served=served):
            notes.error_line(f"{problem} /retry asks again.")
        self._ended_with(outcome.of_reply(reply, structured=structured))

    def _ended_with(self, code: int) -> None:
        self._code = max(self._code, code)

    def in_words(self, error: Exception) -> str:
        """What an error says, with a setting called as it is changed here."""
        if not isinstance(error, MinireasonError):
            return str(error)
        return wording.as_typed(error, self.names)

    @property
    def names(self) -> dict[str, str]:
        """Settings by what the user types to change them."""
        return wording.option_names(Asked) | SET_BY

    def _begin(self, question: str, again: bool) -> TurnStream:
        turn = self.session.stream(
            question,
            again=again,
            on_prefill=lambda done, total: self._on_prefill(done, total),
            **self.settings,
        )
        if (out := self.session.left_out) > self.told_left_out:
            turns = "turn no longer fits and is" if out == 1 else "turns no longer fit and are"
            notes.note(
                f"(the {out} oldest {turns} left out of the prompt, and kept in the session)"
            )
        self.told_left_out = out
        return turn

    def _show(self, turn: TurnStream) -> Reply:
        answer = Answer(plain=Settings(**self.settings).structured)
        instead = retrying.words(self.reasoner.backend)
        if can_redraw() and self.thinking in ("fold", "hide"):
            live = LiveThinking(
                lambda: turn.thinking_tokens,
                thinks=self.reasoner.thinks,
                hidden=self.thinking == "hide",
                instead=instead,
            )
            self._on_prefill = live.prefill
            return show.show(turn, live, answer)
        progress = Progress()
        self._on_prefill = progress.prefill
        try:
            progress.say("reading ...", instead)
            return show.show(turn, self.thoughts, answer, progress.clear)
        finally:
            progress.clear()


def _at_terminal() -> bool:
    """Whether a person types the questions."""
    return sys.stdin is not None and sys.stdin.isatty()


def _thoughts(thinking: str) -> Thinking:
    where = "stderr" if thinking == "fold" else thinking
    return Thinking(where, ("fold", *THINKING))
