"""What `Reasoner`, `Session` and the streams do, awaited, under asyncio and trio.

    reasoner = await minireason.aload("tiny")
    async with reasoner.stream("What is 347 + 586?") as stream:
        async for event in stream:
            ...

One thread (`driver.py`, `rounds.py`) polls the same streams that the synchronous face iterates, and
puts what they give into the mailbox of the task that waits for it. Nothing of a reply, a vote or a
conversation is written twice.
"""

from minireason.aio.base import ReplySource, Source
from minireason.aio.reasoner import AsyncReasoner, aconnect, aload
from minireason.aio.session import AsyncSession, AsyncTurnStream
from minireason.aio.streams import AsyncEvents, AsyncReplyStream, AsyncSolveStream, AsyncStream

__all__ = [
    "AsyncEvents",
    "AsyncReasoner",
    "AsyncReplyStream",
    "AsyncSession",
    "AsyncSolveStream",
    "AsyncStream",
    "AsyncTurnStream",
    "ReplySource",
    "Source",
    "aconnect",
    "aload",
]
