"""A conversation as a document."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from minireason.conversation.history import Turn
from minireason.conversation.session import Session
from minireason.errors import SessionError
from minireason.host import files, paths


def write(session: Session, name: str) -> Path:
    """Write markdown, or JSON for a name that ends in .json; the file is its owner's alone.

    Raises SessionError where nothing was said yet, and for a file that is there already.
    """
    if not session.turns:
        raise SessionError("There is nothing to export yet; ask something first.")
    stem = session.path.stem if session.path else "session"
    path = paths.expanded(name or f"{stem}.md")
    content = to_json(session) if path.suffix == ".json" else to_markdown(session)
    try:
        with files.open_private(path) as file:
            file.write(content)
    except FileExistsError:
        raise SessionError(f"There is a file {path} already; give another name.") from None
    except OSError as error:
        raise SessionError(f"{path} cannot be written ({error.strerror}).") from None
    return path


class Conversation(Protocol):
    """What is written: a session, or what its file holds."""

    @property
    def system(self) -> str | None: ...
    @property
    def turns(self) -> Sequence[Turn]: ...


def to_markdown(session: Conversation) -> str:
    """Questions as headings' text, thoughts folded away, answers as they are."""
    parts = [f"*System prompt: {session.system}*"] if session.system else []
    for turn in session.turns:
        parts.append(f"## Question\n\n{turn.question}")
        if turn.thinking:
            summary = f"<summary>Thinking, {turn.thinking_tokens:,} tokens</summary>"
            parts.append(f"<details>{summary}\n\n{turn.thinking}\n\n</details>")
        parts.append(f"## Answer\n\n{turn.answer}")
    return "\n\n".join(parts) + "\n"


def to_json(session: Conversation) -> str:
    """Everything that is known, as one object."""
    whole = {"system": session.system, "turns": [asdict(turn) for turn in session.turns]}
    return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"
