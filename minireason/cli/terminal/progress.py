"""What is being waited for: a line with a spinner on standard error."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from minireason.cli.terminal import output
from minireason.cli.terminal.output import harmless

if TYPE_CHECKING:
    from rich.status import Status
    from rich.text import Text


class _Words:
    """The words of a line, made anew each time it is drawn."""

    def __init__(self, text: str, instead: Callable[[], str]) -> None:
        self._text, self._instead = text, instead

    def __rich__(self) -> Text:
        from rich.text import Text

        return Text(harmless(self._instead() or self._text), style="dim")


class Progress:
    """A line that says what is being waited for, on a terminal only; gone once there is output."""

    def __init__(self) -> None:
        self._status: Status | None = None
        self._is_shown = output.is_terminal(errors=True)

    def say(self, text: str, instead: Callable[[], str] = str) -> None:
        """Show this, and in its place what `instead` says while it says anything."""
        if not self._is_shown:
            return
        if self._status is None:
            self._status = output.console(errors=True).status("")
            self._status.start()
        self._status.update(_Words(text, instead))

    def loading(self, model: str) -> None:
        self.say(f"loading {model} ...")

    def loaded_share(self, share: float) -> None:
        if self._status and 0 < share < 1:
            self.say(f"loading, {share:.0%} ...")

    def prefill(self, done: int, total: int) -> None:
        if total - done > 256:
            self.say(f"reading the prompt, {done:,} of {total:,} tokens ...")

    def clear(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None
