"""Commands about turns: what goes into the next question, and what becomes of the last one."""

from __future__ import annotations

from minireason.backends.capabilities import OneOfSeveral
from minireason.cli.chat import clipboard, files
from minireason.cli.chat.loop import Chat
from minireason.cli.terminal import notes
from minireason.errors import SessionError, UsageError


def system(chat: Chat, rest: str) -> None:
    """Say the system prompt, or set it; "none" takes it away."""
    if rest:
        chat.session.system = None if rest == "none" else rest
    notes.note(f"(system prompt: {chat.session.system or 'none'})")


def file(chat: Chat, rest: str) -> None:
    """Put a text file into the next question; raises UsageError."""
    name, text = files.read(rest)
    tokens, free = files.count(chat.reasoner, text), chat.reasoner.n_ctx // 2
    if tokens > free:
        raise UsageError(
            f"{name} has about {tokens:,} tokens and does not fit: a question may have {free:,}."
        )
    chat.files.append((name, text))
    about = "about " if isinstance(chat.session.backend, OneOfSeveral) else ""
    notes.note(f"({name}, {about}{tokens:,} tokens, goes with your next question)")


def undo(chat: Chat, _rest: str) -> None:
    """Take the last turn back; its question is what the next input line begins with."""
    chat.draft = chat.session.undo()
    chat.recall_thought()
    notes.note("(taken back)")


def retry(chat: Chat, _rest: str) -> None:
    """Ask the last question again, with a new seed."""
    settings = chat.settings
    chat.settings = {name: value for name, value in settings.items() if name != "seed"}
    try:
        chat.ask(chat.session.last_question(), again=True, alone=True)
    finally:
        chat.settings = settings


def edit(chat: Chat, rest: str) -> None:
    """Ask another question in the place of the last, or offer that one for a change."""
    last = chat.session.last_question()
    if rest:
        chat.ask(rest, again=True)
    else:
        chat.draft = f"/edit {last}"


def copy(chat: Chat, rest: str) -> None:
    """Copy the last answer, or its block of code with this number; raises SessionError."""
    if not chat.session.turns:
        raise SessionError("There is no answer to copy yet.")
    text = clipboard.part(chat.session.turns[-1].answer, rest)
    notes.note(f"(copied {len(text):,} characters to {clipboard.copy(text)})")
