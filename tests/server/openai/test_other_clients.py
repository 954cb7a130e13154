"""litellm and an agent of pydantic-ai, unmodified, against a server that runs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from tests.server.serving import Served

QUESTION = "What is 12 + 5?"

pytestmark = pytest.mark.filterwarnings("ignore")  # what others warn of is theirs


class Sum(BaseModel):
    """What an answer is held to."""

    sum: int


@pytest.fixture
def asked(server: Served, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # it asks the network otherwise
    messages = [{"role": "user", "content": QUESTION}]
    place = {"api_base": f"{server.url}v1", "api_key": "none"}
    return {"model": "openai/tiny", "messages": messages, "temperature": 0, **place}


@pytest.mark.slow  # it imports for three seconds
def test_litellm(asked: dict[str, Any]) -> None:
    litellm = pytest.importorskip("litellm")
    message = litellm.completion(**asked).choices[0].message
    assert "17" in message.content
    assert message.reasoning_content
    chunks = list(litellm.completion(**asked, stream=True))
    deltas = [chunk.choices[0].delta for chunk in chunks]
    assert "".join(delta.content or "" for delta in deltas) == message.content
    thought = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    assert thought == message.reasoning_content


def test_an_agent(server: Served) -> None:
    pytest.importorskip("pydantic_ai")
    asyncio.run(_ask_agents(f"{server.url}v1"))


async def _ask_agents(url: str) -> None:
    from openai import AsyncOpenAI
    from pydantic_ai import Agent, NativeOutput
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    async with AsyncOpenAI(base_url=url, api_key="none") as client:
        model = OpenAIChatModel("tiny", provider=OpenAIProvider(openai_client=client))
        plain = Agent(model, model_settings={"temperature": 0})
        result = await plain.run(QUESTION)
        assert "17" in result.output
        kinds = [part.part_kind for part in result.all_messages()[-1].parts]
        assert kinds == ["thinking", "text"]
        again = await plain.run(QUESTION, message_history=result.all_messages())
        assert again.output
        async with plain.run_stream(QUESTION) as stream:
            assert await stream.get_output() == result.output
        typed = Agent(model, model_settings={"temperature": 0}, output_type=NativeOutput(Sum))
        assert isinstance((await typed.run(QUESTION)).output, Sum)
