"""Run distilled DeepSeek-R1 models on your own machine.

The thinking and the answer come as separate, typed streams:

    import minireason
    reasoner = minireason.load("tiny")
    for event in reasoner.stream("What is 347 + 586?"):
        ...
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from minireason.errors import (
    BackendMissing,
    BadCatalog,
    BadSetting,
    ChecksumMismatch,
    ContextFull,
    DecodeFailed,
    DiskFull,
    DoesNotFit,
    DownloadFailed,
    EngineError,
    LogitsNotFinite,
    MinireasonError,
    ModelFileError,
    NotInstalled,
    NotServed,
    Offline,
    ServerError,
    SessionError,
    StoreError,
    UnknownModel,
    UsageError,
)
from minireason.events import (
    AnswerDelta,
    Done,
    Event,
    FinishReason,
    Reply,
    ThinkingDelta,
    ThinkingEnd,
    Timings,
    TokenLogprob,
    Usage,
)
from minireason.messages import Message
from minireason.settings import (
    ChainChanges,
    Changes,
    Effort,
    KvType,
    LoadChanges,
    LoadSettings,
    Settings,
    SolveChanges,
    SpeculationMode,
    StopRule,
    VoteChanges,
    VoteSettings,
)
from minireason.version import __version__ as __version__

if TYPE_CHECKING:
    from minireason.aio.reasoner import AsyncReasoner, aconnect, aload
    from minireason.aio.session import AsyncSession, AsyncTurnStream
    from minireason.aio.streams import AsyncSolveStream, AsyncStream
    from minireason.backends.base import ReplyStream
    from minireason.backends.capabilities import LogprobStream
    from minireason.backends.stream import Stream
    from minireason.conversation.history import Turn
    from minireason.conversation.session import Session
    from minireason.conversation.turn import TurnStream
    from minireason.manage import ModelInfo, PullProgress, list_models, pull
    from minireason.reasoner import Reasoner, connect, load
    from minireason.voting.solution import (
        Candidate,
        Chain,
        ChainAnswered,
        ChainCancelled,
        ChainDelta,
        ChainStarted,
        Decided,
        Solution,
        Solved,
        SolveEvent,
        SolveTokens,
        StoppedBecause,
        VoteChanged,
    )
    from minireason.voting.solve import SolveStream

__all__ = [
    "AnswerDelta",
    "AsyncReasoner",
    "AsyncSession",
    "AsyncSolveStream",
    "AsyncStream",
    "AsyncTurnStream",
    "BackendMissing",
    "BadCatalog",
    "BadSetting",
    "Candidate",
    "Chain",
    "ChainAnswered",
    "ChainCancelled",
    "ChainChanges",
    "ChainDelta",
    "ChainStarted",
    "Changes",
    "ChecksumMismatch",
    "ContextFull",
    "Decided",
    "DecodeFailed",
    "DiskFull",
    "DoesNotFit",
    "Done",
    "DownloadFailed",
    "Effort",
    "EngineError",
    "Event",
    "FinishReason",
    "KvType",
    "LoadChanges",
    "LoadSettings",
    "LogitsNotFinite",
    "LogprobStream",
    "Message",
    "MinireasonError",
    "ModelFileError",
    "ModelInfo",
    "NotInstalled",
    "NotServed",
    "Offline",
    "PullProgress",
    "Reasoner",
    "Reply",
    "ReplyStream",
    "ServerError",
    "Session",
    "SessionError",
    "Settings",
    "Solution",
    "SolveChanges",
    "SolveEvent",
    "SolveStream",
    "SolveTokens",
    "Solved",
    "SpeculationMode",
    "StopRule",
    "StoppedBecause",
    "StoreError",
    "Stream",
    "ThinkingDelta",
    "ThinkingEnd",
    "Timings",
    "TokenLogprob",
    "Turn",
    "TurnStream",
    "UnknownModel",
    "Usage",
    "UsageError",
    "VoteChanged",
    "VoteChanges",
    "VoteSettings",
    "aconnect",
    "aload",
    "connect",
    "list_models",
    "load",
    "pull",
]

_LATE = {
    "aconnect": "aio.reasoner",
    "aload": "aio.reasoner",
    "AsyncReasoner": "aio.reasoner",
    "AsyncSession": "aio.session",
    "AsyncSolveStream": "aio.streams",
    "AsyncStream": "aio.streams",
    "AsyncTurnStream": "aio.session",
    "connect": "reasoner",
    "load": "reasoner",
    "Reasoner": "reasoner",
    "list_models": "manage",
    "ModelInfo": "manage",
    "pull": "manage",
    "LogprobStream": "backends.capabilities",
    "ReplyStream": "backends.base",
    "PullProgress": "manage",
    "Session": "conversation.session",
    "SolveStream": "voting.solve",
    "Stream": "backends.stream",
    "Turn": "conversation.history",
    "TurnStream": "conversation.turn",
}
_LATE |= dict.fromkeys(
    "Candidate Chain ChainAnswered ChainCancelled ChainDelta ChainStarted"
    " Decided Solution Solved SolveEvent SolveTokens StoppedBecause VoteChanged".split(),
    "voting.solution",
)

logging.getLogger(__name__).addHandler(logging.NullHandler())  # silent unless a program listens


def __getattr__(name: str) -> Any:
    """Import what needs llama.cpp or is for votes only when asked for: `import` shall be quick."""
    if name not in _LATE:
        raise AttributeError(f"module 'minireason' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"minireason.{_LATE[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
