"""What is being waited for: a line with a spinner on standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minireason.cli.terminal import output
from minireason.cli.terminal.output import harmless

if TYPE_CHECKING:
    from rich.status import Status


class Progress:
    """A line that says what is being waited for, on a terminal only; gone once there is output."""

    def __init__(self) -> None:
        self._status: Status | None = None
        self._is_shown = output.is_terminal(errors=True)

    def say(self, text: str) -> None:
        if not self._is_shown:
            return
        from rich.text import Text

        if self._status is None:
            self._status = output.console(errors=True).status("")
            self._status.start()
        self._status.update(Text(harmless(text), style="dim"))

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
