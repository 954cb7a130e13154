"""Facts about a reply and its context, on standard error."""

from __future__ import annotations

from minireason.cli.terminal import notes, output
from minireason.events import Reply

ENDED: dict[str, str] = {
    "cancelled": "stopped by you",
    "length": "cut off: the token limit or the context is used up",
}
"""What is said of a reply that did not come to its end."""


def reply_facts(reply: Reply, *, folded: bool = False) -> None:
    """Print one line about a reply, on a terminal only.

    Of a thought that was `folded` to a line of its own it says nothing more.
    """
    if not output.console(errors=True).is_terminal:
        return
    parts = []
    if reply.usage.thinking_tokens and not folded:
        parts.append(f"thought {reply.usage.thinking_tokens:,} tokens in {reply.thought_s:.1f} s")
    parts.append(f"answered {reply.usage.answer_tokens:,} tokens")
    if reply.timings.tokens_per_s:
        parts.append(f"{reply.timings.tokens_per_s:,.1f} tokens/s")
    if reply.finish_reason in ENDED:
        parts.append(ENDED[reply.finish_reason])
    notes.dim(" · ".join(parts), style="dim italic")


def shares(parts: list[tuple[str, int]], whole: int) -> None:
    """Print shares of a whole: one bar, and a line that says which is which."""
    width = max(10, min(60, output.console(errors=True).width - 2))
    shares = list(zip("█▓░", parts, strict=False))
    filled = "".join(
        sign * max(size > 0, round(size / whole * width)) for sign, (_, size) in shares
    )
    notes.note(
        f"{filled[:width]}\n"
        + " · ".join(f"{sign} {name} {size:,}" for sign, (name, size) in shares)
        + f" of {whole:,} tokens"
    )
