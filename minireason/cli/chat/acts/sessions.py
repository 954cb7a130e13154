"""Commands about sessions: naming, loading, listing, exporting and forgetting a conversation."""

from __future__ import annotations

from pathlib import Path

from minireason.cli import session_list
from minireason.cli.chat import export as exports
from minireason.cli.chat import replay
from minireason.cli.chat.acts.figures import turns_in_words
from minireason.cli.chat.loop import Chat
from minireason.cli.terminal import notes, output
from minireason.conversation import transcript
from minireason.errors import SessionError, UsageError

_MOST_OF_A_QUESTION = 100


def save(chat: Chat, rest: str) -> None:
    """Give this session a name, or a file; raises UsageError or SessionError."""
    if not rest:
        saved = "every turn is saved anyway" if chat.session.path else "nothing is saved until then"
        raise UsageError(f"/save takes a name for this session; {saved}.")
    path = transcript.path_of(rest)
    if path.exists() and path != chat.session.path:
        raise SessionError(f"There is a session {path.stem} already; take another name.")
    chat.session.save(path)
    notes.note(f"(saved as {path})")


def load(chat: Chat, rest: str) -> None:
    """Go on with another session; raises UsageError or SessionError."""
    if not rest:
        raise UsageError(
            "/load takes the name of a session, or the path of its file; /sessions lists them."
        )
    load_session(chat, transcript.path_of(rest))


def load_session(chat: Chat, path: Path) -> None:
    """Go on with a session, say what was found, and on a terminal show it as it was shown live."""
    problems = chat.session.load(path)
    chat.told_left_out = 0
    for problem in problems:
        notes.note(f"({path.stem}: {problem})")
    turns = chat.session.turns
    chat.recall_thought()
    notes.note(f"({path.stem}: {turns_in_words(len(turns))})")
    if output.console().is_terminal:
        if earlier := len(turns[: -replay.SHOWN_TURNS]):
            before = f"{turns_in_words(earlier)} before these"
            notes.note(f"({before}; minireason sessions show prints all)")
        replay.show(turns[-replay.SHOWN_TURNS :], chat.thinking)
    if chat.session.unanswered:
        notes.note(f"(not answered yet, /retry asks it again: {_short(chat.session.unanswered)})")


def export(chat: Chat, rest: str) -> None:
    """Write the conversation to a file; raises SessionError."""
    path = exports.write(chat.session, rest)
    notes.note(f"(written to {path})")


def sessions(_chat: Chat, _rest: str) -> None:
    """List the sessions there are, on standard error, where no answer is."""
    session_list.print_list(errors=True)


def clear(chat: Chat, _rest: str) -> None:
    """Forget the conversation; what was saved of it stays."""
    chat.session.clear()
    chat.thought = ""
    chat.files.clear()
    kept = "; it stays in the session's file" if chat.session.path else ""
    notes.note(f"(forgotten{kept})")


def _short(text: str) -> str:
    if len(text) <= _MOST_OF_A_QUESTION:
        return text
    return text[: _MOST_OF_A_QUESTION - 1] + "…"
