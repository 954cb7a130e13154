"""Ask twenty questions at once under asyncio, and print each reply as it ends.

`python examples/async_many.py --model tiny --questions 20`
"""

from __future__ import annotations

import argparse
import asyncio
import time

import minireason


async def ask(reasoner: minireason.AsyncReasoner, question: str, began: float) -> int:
    """Ask one question and print what it came to; the tokens of its reply."""
    reply = await reasoner.ask(question)
    seconds = time.perf_counter() - began
    print(f"{seconds:5.2f} s  {question} {reply.boxed}", flush=True)
    return reply.usage.thinking_tokens + reply.usage.answer_tokens


async def main() -> None:
    """Ask them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--questions", type=int, default=20)
    arguments = parser.parse_args()
    async with await minireason.aload(arguments.model) as reasoner:
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(ask(reasoner, f"What is {number * 7} + 86?", began))
                for number in range(1, arguments.questions + 1)
            ]
        seconds = time.perf_counter() - began
        tokens = sum(task.result() for task in tasks)
        print(f"{tokens:,} tokens in {seconds:.1f} s, {tokens / seconds:,.0f} a second")


if __name__ == "__main__":
    asyncio.run(main())
