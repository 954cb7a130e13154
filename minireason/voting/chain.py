"""The chains of a vote: what they are asked, the seed of each, and what each came to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from minireason import answers
from minireason.backends.base import Backend, ReplyStream, StreamOptions, reply_of
from minireason.events import Reply
from minireason.messages import Message, as_messages
from minireason.settings import MAX_SEED, Settings
from minireason.voting.ballot import canonical, tail_confidence
from minireason.voting.solution import Chain

INSTRUCTION = "Please reason step by step, and put your final answer within \\boxed{}."
"""What the R1 model card adds to questions whose answer can be checked."""

RETRY_TEMPERATURE_STEP = 0.1
"""Added to the temperature of the chain that replaces one that went round in circles."""


def instruction_for(requested: str | None, *, bare: bool, structured: bool = False) -> str:
    """The instruction to add to a question: the requested one, or else the model card's.

    None is added to `bare` questions (see `Backend.bare_questions`), or where the answer is
    structured and has no room for a \\boxed{}.
    """
    if requested is not None:
        return requested
    return "" if structured or bare else INSTRUCTION


def with_instruction(question: str | Sequence[Message], instruction: str) -> list[Message]:
    """The conversation, with the instruction on a line of its own after the last message."""
    messages = as_messages(question)
    if instruction and messages and messages[-1]["content"].strip():
        messages[-1] = Message(
            role=messages[-1]["role"], content=f"{messages[-1]['content']}\n{instruction}"
        )
    return messages


def check_prompt(backend: Backend, messages: Sequence[Message], settings: Settings) -> int:
    """How many tokens the prompt of each chain has, once it is sure that it can be asked.

    Raises BadSetting, UsageError or ContextFull, as opening a stream would.
    """
    tokens = backend.count_tokens(messages, at_most=backend.n_ctx)
    backend.check(settings, tokens)
    return tokens


def chain_seed(*place: int | str) -> int:
    """The seed of one chain out of a common one and its place.

    It is the same on every machine, and unlike that of its neighbours.
    """
    digest = hashlib.blake2b("/".join(map(str, place)).encode(), digest_size=8).digest()
    return int.from_bytes(digest) % MAX_SEED


@dataclass(frozen=True, slots=True)
class Job:
    """A chain that is planned; `replaces` is the index of one that went round in circles."""

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
        watch_confidence: bool,
        allowance: Callable[[], int] | None = None,
        cache_scope: str = "",
    ) -> ReplyStream:
        """Open the chain's stream; raises BadSetting, UsageError or ContextFull."""
        own = replace(settings, seed=self.seed, temperature=self.temperature)
        options = StreamOptions(
            watch_confidence=watch_confidence,
            cache_reply=False,
            cache_scope=cache_scope,
            allowance=allowance,
        )
        return backend.stream(messages, own, options)

    def end(self, stream: ReplyStream, *, structured: bool) -> Chain:
        """Close the chain's stream: what it came to. Called again, it says the same.

        A `structured` answer counts as it is, if it is whole.
        """
        stream.close()
        reply = reply_of(stream)
        answer = _answer_of(reply, structured=structured)
        form = canonical if structured else answers.key
        ended = reply.finish_reason != "cancelled"
        return Chain(
            index=self.index,
            seed=self.seed,
            temperature=self.temperature,
            thinking=reply.thinking,
            text=reply.answer,
            answer=answer,
            key=None if answer is None else form(answer),
            finish=reply.finish_reason,
            thinking_end=reply.thinking_end,
            tokens=stream.tokens,
            confidence=tail_confidence(stream.confidences),
            total_s=reply.timings.total_s,
            parsed=reply.parsed,
            replaced=ended and reply.thinking_end == "loop" and self.replaces is None,
            answer_tokens=reply.usage.answer_tokens,
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
