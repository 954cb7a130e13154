"""The input line on a terminal; the only module that imports prompt_toolkit."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app, run_in_terminal
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition, is_searching
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import create_output

from minireason.cli.terminal import output
from minireason.host import paths


class Editor:
    """Reads what a person types, with a history and completion.

    Enter sends, Alt-Enter or a backslash at the end makes a new line, a pasted block stays whole.
    `commands` maps a slash command to its help, `names` gives what may follow one. Ctrl-T calls
    `on_unfold`.
    """

    def __init__(
        self,
        commands: dict[str, str],
        names: Callable[[str], Iterable[str]],
        on_unfold: Callable[[], None],
    ) -> None:
        self._session: PromptSession[str] = PromptSession(
            history=_history(),
            completer=CommandCompleter(commands, names),
            complete_while_typing=Condition(_names_a_command),
            key_bindings=_keys(on_unfold),
            multiline=True,
            prompt_continuation="  ",
            enable_open_in_editor=True,
            enable_suspend=True,
            output=create_output(output.direct(sys.stdout)),
        )

    def read(self, default: str = "") -> str:
        """What was typed.

        On an empty line Ctrl-D raises EOFError and Ctrl-C KeyboardInterrupt.
        """
        return self._session.prompt("\n> ", default=default)


def _keys(on_unfold: Callable[[], None]) -> KeyBindings:
    """What the keys do that are ours."""
    keys = KeyBindings()

    @keys.add("escape", "enter")
    def _newline(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    # while Ctrl-R searches, Enter and Ctrl-C are the search's own: take what it shows, leave it
    @keys.add("enter", filter=~is_searching)
    def _send(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        goes_on = buffer.document.text_before_cursor.endswith("\\")
        if goes_on and buffer.document.is_cursor_at_the_end:
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @keys.add("c-c", filter=~is_searching)
    def _clear(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if not buffer.text:
            event.app.exit(exception=KeyboardInterrupt, style="class:aborting")
        buffer.append_to_history()  # the arrows bring it back
        buffer.reset()

    @keys.add("c-t")
    def _unfold(_event: KeyPressEvent) -> None:
        run_in_terminal(on_unfold)

    return keys


def _names_a_command() -> bool:
    """Whether the names of commands should be offered without being asked for."""
    text = get_app().current_buffer.text
    return text.startswith("/") and not any(character.isspace() for character in text)


def _history() -> History:
    path = paths.data_dir() / "chat_history"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return _History(path)


class _History(FileHistory):
    """What was typed, in every chat; where the disk is full only in this one."""

    def store_string(self, string: str) -> None:
        with suppress(OSError):
            super().store_string(string)


class CommandCompleter(Completer):
    """Offers the slash commands, and what may follow one: names, or paths of files."""

    def __init__(self, commands: dict[str, str], names: Callable[[str], Iterable[str]]) -> None:
        self._commands, self._names = commands, names
        self._paths = PathCompleter(expanduser=True)

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        """What may stand where the cursor is; nothing but in the first line of a command."""
        line = document.text_before_cursor
        command, space, rest = line.partition(" ")
        if not line.startswith("/") or "\n" in line:
            return
        if not space:
            for name, about in self._commands.items():
                if f"/{name}".startswith(command):
                    yield Completion(f"/{name}", -len(command), display_meta=about)
            return
        for name in self._names(command):
            if name.startswith(rest):
                yield Completion(name, -len(rest))
        if _takes_a_path(command, rest):
            yield from self._paths.get_completions(Document(rest), complete_event)


def _takes_a_path(command: str, rest: str) -> bool:
    if command == "/model":
        return rest.startswith((".", "~", os.sep))
    return command in ("/file", "/load", "/export")
