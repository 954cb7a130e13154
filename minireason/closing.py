"""What `with` and `async with` blocks do with everything that is closed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Closing(ABC):
    """What the end of a `with` block closes, however it ends."""

    @abstractmethod
    def close(self) -> None:
        """End what is under way and free what is held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class AsyncClosing(ABC):
    """What the end of an `async with` block closes, however it ends."""

    @abstractmethod
    async def aclose(self) -> None:
        """End what is under way and free what is held."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()
