"""Run distilled DeepSeek-R1 models on your own machine, with the thinking and the answer as separate, typed streams.

import minireason
reasoner = minireason.load("tiny")
for event in reasoner.stream("What is 347 + 586?"):
    ...
"""

from __future__ import annotations

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
    Offline,
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
    Message,
    Reply,
    ThinkingDelta,
    ThinkingEnd,
    Timings,
    Usage,
)
from minireason.settings import LoadSettings, Settings, VoteSettings
from minireason.solution import (
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
    VoteChanged,
)

if TYPE_CHECKING:
    from minireason.reasoner import Reasoner, load
    from minireason.session import Session
    from minireason.solve import SolveStream
    from minireason.stream import Stream

__version__ = "0.1.0"

__all__ = [
    "AnswerDelta",
    "BackendMissing",
    "BadCatalog",
    "BadSetting",
    "Candidate",
    "Chain",
    "ChainAnswered",
    "ChainCancelled",
    "ChainDelta",
    "ChainStarted",
    "ChecksumMismatch",
    "ContextFull",
    "Decided",
    "DecodeFailed",
    "DiskFull",
    "DoesNotFit",
    "Done",
    "DownloadFailed",
    "EngineError",
    "Event",
    "FinishReason",
    "LoadSettings",
    "LogitsNotFinite",
    "Message",
    "MinireasonError",
    "ModelFileError",
    "NotInstalled",
    "Offline",
    "Reasoner",
    "Reply",
    "Session",
    "SessionError",
    "Settings",
    "Solution",
    "SolveEvent",
    "SolveStream",
    "SolveTokens",
    "Solved",
    "StoreError",
    "Stream",
    "ThinkingDelta",
    "ThinkingEnd",
    "Timings",
    "UnknownModel",
    "Usage",
    "UsageError",
    "VoteChanged",
    "VoteSettings",
    "load",
]

_LATE = {
    "load": "reasoner",
    "Reasoner": "reasoner",
    "Session": "session",
    "SolveStream": "solve",
    "Stream": "stream",
}


def __getattr__(name: str) -> Any:
    """Import what needs llama.cpp only when it is asked for, so that `import minireason` is quick."""
    if name not in _LATE:
        raise AttributeError(f"module 'minireason' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"minireason.{_LATE[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
