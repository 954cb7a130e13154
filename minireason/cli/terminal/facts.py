"""Facts about a reply and its context, on standard error."""

from __future__ import annotations

from minireason.cli.terminal import notes, output
from minireason.events import Reply

ENDED: dict[str, str] = {
    "cancelled": "stopped by you",
    "length": "cut off: the token limit or the context is used up",
}
"""What is said of a reply that did not come to its end."""

CUT_SHORT: dict[str | None, str] = {
    "budget": "cut short by its budget",
    "loop": "cut short, as it went round in circles",
    "user": "cut short by Ctrl-C",
}
"""What is said of a thought that was landed, by `Reply.thinking_end`."""


def reply_facts(reply: Reply, *, folded: bool = False) -> None:
    """Print one line about the reply on a terminal; in a pipe only that its thought was cut short.

    Of a thought that was `folded` to a line of its own the length is not said again.
    """
    cut_short = CUT_SHORT.get(reply.thinking_end)
    if not output.is_terminal(errors=True):
        if cut_short:
            notes.error_line(f"The thought was {cut_short}.")
        return
    parts = []
    if reply.usage.thinking_tokens and not folded:
        parts.append(f"thought {reply.usage.thinking_tokens:,} tokens in {reply.thought_s:.1f} s")
    if cut_short:
        parts.append(f"thought {cut_short}")
    parts.append(f"answered {reply.usage.answer_tokens:,} tokens")
    if reply.timings.tokens_per_s:
        parts.append(f"{reply.timings.tokens_per_s:,.1f} tokens/s")
    if reply.finish_reason in ENDED:
        parts.append(ENDED[reply.finish_reason])
    notes.dim(" · ".join(parts), style="dim italic")


def shares(parts: list[tuple[str, int]], whole: int, *, estimated: bool) -> None:
    """Print shares of a whole: one bar, and a line that says which is which."""
    about = "about " if estimated else ""
    width = max(10, min(60, output.console(errors=True).width - 2))
    shares = list(zip("█▓░", parts, strict=False))
    filled = "".join(
        sign * max(size > 0, round(size / whole * width)) for sign, (_, size) in shares
    )
    notes.note(
        f"{filled[:width]}\n"
        + " · ".join(f"{sign} {name} {about}{size:,}" for sign, (name, size) in shares)
        + f" of {whole:,} tokens"
    )
