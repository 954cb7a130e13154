"""The chains of a vote: what they are asked, the seed of each, and what each came to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from minireason import answers
from minireason.backends.base import Backend, ReplyStream, StreamOptions
from minireason.errors import UsageError
from minireason.events import Reply
from minireason.messages import Message, as_messages
from minireason.models import catalog
from minireason.settings import MAX_SEED, Settings
from minireason.voting.ballot import tail_confidence
from minireason.voting.solution import Chain

INSTRUCTION = "Please reason step by step, and put your final answer within \\boxed{}."
"""What the R1 model card adds to questions whose answer can be checked."""

HOTTER = 0.1
"""Added to the temperature of the chain that replaces one that went round in circles."""


def instruction_for(model: str, wished: str | None, *, structured: bool = False) -> str:
    """The instruction to add: the one wished for, or the model card's unless the catalogue says that the model takes none.

    A structured answer has no room for a \\boxed{}.
    """
    if wished is not None:
        return wished
    return "" if structured or catalog.bare_questions(model) else INSTRUCTION


def with_instruction(question: str | Sequence[Message], instruction: str) -> list[Message]:
    """The conversation, with the instruction on a line of its own after the last message."""
    messages = as_messages(question)
    if instruction and messages and messages[-1]["content"].strip():
        messages[-1] = Message(
            role=messages[-1]["role"], content=f"{messages[-1]['content']}\n{instruction}"
        )
    return messages


def chain_seed(*place: int | str) -> int:
    """The seed of one chain out of a common one and its place: the same on every machine, and unlike that of its neighbours."""
    return (
        int.from_bytes(hashlib.blake2b("/".join(map(str, place)).encode(), digest_size=8).digest())
        % MAX_SEED
    )


def canonical(text: str) -> str:
    """JSON in one form of the many that mean the same; any other text as it is."""
    try:
        return json.dumps(json.loads(text), sort_keys=True, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


@dataclass(frozen=True, slots=True)
class Job:
    """A chain that is planned."""

    index: int
    seed: int
    temperature: float
    replaces: int | None = None

    def start(
        self,
        backend: Backend,
        messages: Sequence[Message],
        settings: Settings,
        *,
        watched: bool = True,
        allowance: Callable[[], int] | None = None,
    ) -> Running:
        """Open the chain's stream, `watched` for its confidence.

        Raises BadSetting, UsageError or ContextFull.
        """
        own = replace(settings, seed=self.seed, temperature=self.temperature)
        options = StreamOptions(watch_confidence=watched, cache_reply=False, allowance=allowance)
        return Running(self, backend.stream(messages, own, options))


@dataclass(frozen=True, slots=True, eq=False)
class Running:
    """A chain that runs."""

    job: Job
    stream: ReplyStream

    def end(self, *, structured: bool) -> Chain:
        """Close the stream. What the chain came to; a `structured` answer counts as it is, if it is whole."""
        self.stream.close()
        with suppress(UsageError):  # told once, by whoever reads the stream
            _ = self.stream.reply
        job, reply = self.job, self.stream.reply
        ended = reply.finish_reason != "cancelled"
        found = _answer_of(reply, structured=structured)
        form = canonical if structured else answers.key
        return Chain(
            index=job.index,
            seed=job.seed,
            temperature=job.temperature,
            thinking=reply.thinking,
            text=reply.answer,
            answer=found,
            key=None if found is None else form(found),
            finish=reply.finish_reason,
            thinking_end=reply.thinking_end,
            tokens=self.stream.tokens,
            confidence=tail_confidence(self.stream.confidences),
            total_s=reply.timings.total_s,
            parsed=reply.parsed,
            replaced=ended and reply.thinking_end == "loop" and job.replaces is None,
        )


def _answer_of(reply: Reply, *, structured: bool) -> str | None:
    """The answer that a chain votes for, None if it has none."""
    if structured:
        return None if reply.parsed is None else reply.answer
    if reply.finish_reason == "cancelled":
        return None
    if reply.finish_reason == "length":  # the last sentence of a cut answer need not conclude it
        return answers.outright_answer(reply.answer)
    return answers.final_answer(reply.answer)
