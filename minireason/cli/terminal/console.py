"""Rich's console, whose pieces of text are made harmless one by one."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from minireason.cli.terminal.output import harmless


class HarmlessConsole(Console):
    """See `output.console`, which makes one."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else _harmless_segment(segment)


def _harmless_segment(segment: Segment) -> Segment:
    """A piece of text that steers nothing, and that no click follows elsewhere than it says."""
    style = segment.style
    if style and style.link:
        style = style.update_link(None)
    return Segment(harmless(segment.text), style)
