"""Commands that count: what takes up the context, and what the session cost."""

from __future__ import annotations

from minireason.backends.capabilities import OneOfSeveral
from minireason.cli.chat.loop import Chat
from minireason.cli.terminal import facts, notes


def turns_in_words(count: int) -> str:
    """A number of turns, such as "1 turn"."""
    return f"{count} turn{'' if count == 1 else 's'}"


def context(chat: Chat, _rest: str) -> None:
    """Show what takes up the context."""
    session, n_ctx = chat.session, chat.reasoner.n_ctx
    used, estimated = chat.context_use.tokens(session)
    answers = sum(turn.answer_tokens for turn in session.turns[session.left_out :])
    dropped = sum(turn.thinking_tokens for turn in session.turns)
    facts.shares(
        [
            ("questions", max(0, used - answers)),
            ("answers", min(used, answers)),
            ("free", max(0, n_ctx - used)),
        ],
        n_ctx,
        estimated=estimated,
    )
    about = "about " if estimated else ""
    left_out = f"turns left out: {session.left_out} of {len(session.turns)}"
    notes.note(f"thinking dropped: {about}{dropped:,} tokens · {left_out}")
    if isinstance(session.backend, OneOfSeveral) and not session.backend.tells_n_ctx:
        notes.note(f"(the server does not tell its context: {n_ctx:,} tokens are taken for it)")


def stats(chat: Chat, _rest: str) -> None:
    """Show the tokens and seconds of this session."""
    turns = chat.session.turns
    made = sum(turn.thinking_tokens + turn.answer_tokens for turn in turns)
    seconds = sum(turn.total_s for turn in turns)
    read = sum(turn.prompt_tokens for turn in turns)
    cached = sum(turn.cached_tokens for turn in turns)
    speed = f", {made / seconds:.1f} tokens/s with the reading" if made and seconds else ""
    counted = turns_in_words(len(turns))
    notes.note(f"{counted}, {made:,} tokens generated in {seconds:.1f} s{speed}")
    share = f" ({cached / read:.0%})" if read else ""
    notes.note(f"{read:,} tokens of prompts, {cached:,} of them from the cache{share}")
    if drafted := sum(turn.drafted_tokens for turn in turns):
        accepted = sum(turn.accepted_tokens for turn in turns)
        notes.note(f"{drafted:,} tokens drafted, {accepted:,} of them accepted")
