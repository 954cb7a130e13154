"""What is done with requests that leave it open, and with those that ask for tools."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

ReasoningField: TypeAlias = Literal["both", "content", "reasoning", "inline", "none"]
"""Where a chat completion has its thought: in `reasoning_content` and `reasoning`, in one of them,
within `content` between the tags, or nowhere."""

USUAL_FIELD: ReasoningField = "both"
"""Where it is if nobody says anything."""


class Policy(Protocol):
    """Said by whoever answers; see `ServerSettings`."""

    @property
    def reasoning_field(self) -> ReasoningField:
        """Where a chat completion has its thought."""
        ...

    @property
    def ignore_tools(self) -> bool:
        """Whether tools are ignored instead of refused."""
        ...

    @property
    def tools_advice(self) -> str:
        """What is said to do where they are refused."""
        ...
