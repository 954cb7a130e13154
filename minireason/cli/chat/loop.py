"""The chat itself: read, ask, show, until it is left."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from minireason.cli import render, show
from minireason.cli.chat.reading import Reader
from minireason.errors import ContextFull, EngineError, UsageError
from minireason.events import AnswerDelta, Reply, ThinkingDelta
from minireason.reasoner import Reasoner
from minireason.session import Session, TurnStream
from minireason.settings import Settings

LEAVE_WITHIN_S = 3.0
"""Two Ctrl-C on an empty prompt this close together leave."""

HUNG_UP = 129


@dataclass
class Chat:
    """Everything that a command may look at or change.

    `open` loads a model by name. `thinking` is "fold" (a few live lines, then one), "show" or "hide"; `draft` is what the next
    input line begins with; `files` go with the next question.
    """

    reasoner: Reasoner
    session: Session
    settings: dict[str, Any]
    open: Callable[[str], Reasoner]
    sink: render.Thinking
    thinking: str = "fold"
    plain: bool = False
    draft: str = ""
    files: list[tuple[str, str]] = field(default_factory=list)
    running: TurnStream | None = None
    progress: Callable[[str], None] = lambda _text: None

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
                    return
                interrupted_at = time.monotonic()
                render.note("(Ctrl-C once more, /exit or Ctrl-D leaves)")

    def ask(self, question: str, *, again: bool = False) -> None:
        """Ask and show the reply; whatever goes wrong is told, and nothing is lost."""
        parts = [question] + [f"{name}:\n```\n{text}\n```" for name, text in self.files]
        out, unsaved = self.session.left_out, self.session.unsaved
        try:
            self.running = self.session.stream("\n\n".join(parts), again=again, on_prefill=self._prefill, **self.settings)
            if self.session.left_out > out:
                render.note(
                    f"({self.session.left_out} oldest turns no longer fit and are left out of the prompt; they stay in the session)"
                )
            self.files.clear()
            with _Keys(self.running):
                reply = self._show(self.running)
            self._tell(reply)
        except (ContextFull, UsageError) as error:
            self.draft = question
            render.error_line(f"{error} /clear starts afresh.")
        except EngineError as error:
            render.error_line(f"{error} /retry asks again.")
        except KeyboardInterrupt:
            if self.running:
                self.running.close()
            render.note("(stopped; /retry asks again)")
        finally:
            self.running = None
        if self.session.unsaved and not unsaved:
            render.error_line(str(self.session.unsaved))

    def _prefill(self, done: int, total: int) -> None:
        if total - done > 256:
            self.progress(f"reading the prompt, {done:,} of {total:,},")

    def _show(self, turn: TurnStream) -> Reply:
        answer = render.Answer(plain=self.plain or Settings(**self.settings).structured)
        if self.thinking != "fold" or not self.reasoner.thinks:
            return show.events(turn, self.sink, answer)
        from minireason.cli.live import LiveThinking

        live = LiveThinking("Ctrl-C: answer now")
        self.progress = live.say
        live.start()
        try:
            answering = False
            for event in turn:
                if isinstance(event, ThinkingDelta):
                    live.say("thinking")
                    live.write(event.text, turn.thinking_tokens)
                elif isinstance(event, AnswerDelta):
                    if not answering:
                        live.end(live.folded())
                        answering = True
                    answer.write(event.text)
            if answering:
                answer.end()
        finally:
            live.end(live.folded())
        return turn.reply

    def _tell(self, reply: Reply) -> None:
        if not reply.answer:
            render.error_line(f"{show.NO_ANSWER[reply.finish_reason]} /retry asks again.")
        render.facts(reply, folded=self.thinking == "fold")


class _Keys:
    """While a reply runs: Ctrl-C ends the thought, then the answer, then the wait; a closed terminal saves and ends."""

    def __init__(self, turn: TurnStream) -> None:
        self._turn, self._presses = turn, 0

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGINT, self._interrupt)
        self._echo = _without_echo()

    def __exit__(self, *_error: object) -> None:
        self._echo()
        signal.signal(signal.SIGINT, self._before)

    def _interrupt(self, _number: int, _frame: Any) -> None:
        self._presses += 1
        if self._turn.finish_thinking():
            return
        if self._presses > 3:
            raise KeyboardInterrupt
        self._turn.cancel()


def _without_echo() -> Callable[[], None]:
    """Let keys typed ahead wait unseen for the next input line, where they would tear the live lines; how to undo that."""
    try:
        import termios
    except ImportError:  # Windows
        return lambda: None
    try:
        before = termios.tcgetattr(sys.stdin)
        quiet = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
        termios.tcsetattr(sys.stdin, termios.TCSANOW, quiet)
    except (OSError, ValueError, termios.error):  # no terminal
        return lambda: None
    return lambda: termios.tcsetattr(sys.stdin, termios.TCSANOW, before)


def save_when_hung_up(chat: Chat) -> None:
    """Let a closed terminal, or being asked to end, save what there is of a reply; all else is on disk already."""

    def on_signal(number: int, _frame: Any) -> None:
        if chat.running:
            chat.running.save()
        os._exit(HUNG_UP if number == getattr(signal, "SIGHUP", None) else 143)

    for name in ("SIGHUP", "SIGTERM"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), on_signal)


def on_terminal() -> bool:
    """Whether lines can be drawn over again."""
    return sys.stderr.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")
