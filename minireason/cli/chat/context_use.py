"""How much of the context a conversation takes."""

from __future__ import annotations

from minireason.backends.base import Backend
from minireason.backends.capabilities import OneOfSeveral
from minireason.conversation.session import Session
from minireason.events import Reply
from minireason.messages import Message


class ContextUse:
    """Tokens of a conversation; where a server has the vocabulary, as its last reply told them."""

    def __init__(self) -> None:
        self._counted: tuple[int, bool] = 0, True
        self._after: tuple[Backend, list[Message]] | None = None
        """What was counted: it holds while that is the conversation."""

    def note(self, session: Session, reply: Reply, *, estimated: bool) -> None:
        """Note what was counted with a reply, now that its answer is part of the conversation."""
        if reply.answer:
            usage = reply.usage
            self._counted = usage.prompt_tokens + usage.answer_tokens, estimated
            self._after = session.backend, session.prompt

    def tokens(self, session: Session) -> tuple[int, bool]:
        """How many there are, and whether that is an estimate."""
        backend, prompt = session.backend, session.prompt
        is_server = isinstance(backend, OneOfSeveral)
        if is_server and self._after == (backend, prompt):
            return self._counted
        return backend.count_tokens([*prompt, Message(role="user", content="?")]), is_server
