"""What a client of bench/ reads of a stream, and what the stress makes of memory."""

from __future__ import annotations

import asyncio
from types import ModuleType

import pytest

from tests.conftest import bench


@pytest.fixture(scope="module")
def clients() -> ModuleType:
    return bench("clients")


@pytest.fixture(scope="module")
def stress(clients: ModuleType) -> ModuleType:
    return bench("stress")


STREAM = b"""\
40\r
data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\r
\r
: keep-alive\r
data: {"choices":[{"delta":{"reasoning_content":"Two","reasoning":"Two"}}]}\r
data: {"choices":[{"delta":{"content":" is it."}}]}\r
data: {"choices":[],"usage":{"completion_tokens":7}}\r
data: [DONE]\r
"""


def reading(clients: ModuleType, stream: bytes, leave_after: int | None) -> object:
    async def read() -> object:
        reader = asyncio.StreamReader()
        reader.feed_data(stream)
        reader.feed_eof()
        return await clients.read(reader, 0.0, leave_after)

    return asyncio.run(read())


def test_a_thought_in_two_fields_counts_once(clients: ModuleType) -> None:
    got = reading(clients, STREAM, None)
    assert (got.text, got.tokens) == ("Two is it.", 7)


def test_a_client_that_leaves_gets_nothing(clients: ModuleType) -> None:
    assert reading(clients, STREAM, 0) is None


def test_an_error_within_a_stream_is_raised(clients: ModuleType) -> None:
    with pytest.raises(clients.Refused, match="no room"):
        reading(clients, b'data: {"error":{"message":"no room"}}\n', None)


def test_memory_of_the_end_by_that_of_the_beginning(stress: ModuleType) -> None:
    result = stress.Stressed(rss_kib=[(at, 100 if at < 60 else 105) for at in range(120)])
    assert result.rss_ratio == pytest.approx(1.05)
