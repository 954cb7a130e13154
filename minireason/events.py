"""What comes out: events of a stream, and the reply that they add up to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from minireason.errors import shortened, shown

FinishReason: TypeAlias = Literal["stop", "length", "cancelled"]
ThinkingEnd: TypeAlias = Literal["natural", "budget", "loop", "user", "skipped", "unclosed"]


BOX = "\\boxed"
"""TeX's command around a final answer, by which R1 distills mark theirs."""


@dataclass(frozen=True, slots=True)
class ThinkingDelta:
    """The next piece of the thinking, at least one whole character."""

    text: str


@dataclass(frozen=True, slots=True)
class AnswerDelta:
    """The next piece of the answer, at least one whole character."""

    text: str


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """How likely a sampled token of the answer was, by the model itself.

    Natural logarithms of the raw distribution: at temperature 1, before top_k, top_p and the
    grammar mask of a structured answer.
    """

    token: bytes
    """The bytes of the token, perhaps a part of a character."""

    logprob: float
    """Its log-probability."""

    top: tuple[tuple[bytes, float], ...]
    """The likeliest tokens in its place, with theirs; it may be one of them."""

    text_end: int
    """Characters of the answer's text that were out once it was taken.

    What may become a stop string, or is no whole character yet, is out later.
    """


@dataclass(frozen=True, slots=True)
class Usage:
    """Counts of tokens in a reply."""

    prompt_tokens: int
    """The whole prompt."""

    cached_tokens: int
    """Tokens of the prompt that were in the KV cache before, and were not computed again."""

    thinking_tokens: int
    """The thinking, with the model's own closing tag, and with what a loop was rewound over."""

    answer_tokens: int
    """The answer."""

    forced_tokens: int
    """Tokens put in for the model: landing, closing tag, opened final answer.

    They count nowhere else.
    """

    drafted_tokens: int = 0
    """Tokens proposed by speculative decoding."""

    accepted_tokens: int = 0
    """Those of them that the model took; they are part of the thinking or the answer."""


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds of wall time in a reply, and its speed."""

    load_s: float
    """Loading the model."""

    prefill_s: float
    """From the request to the first token sampled: waiting, and computing the prompt."""

    first_token_s: float | None
    """Time to first token that is text, from the request on; None if none came."""

    first_answer_s: float | None
    """From the request to the answer's first text; None if none came."""

    total_s: float
    """From the request to the end."""

    tokens_per_s: float | None
    """Decoding speed of this reply alone; None for fewer than two tokens."""


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """A whole reply."""

    model: str
    """The label of the model."""

    thinking: str
    """All of the thinking that was shown; of a thought that was begun, what is new.

    With the rounds of a loop, which the model did not see any more when it answered.
    """

    answer: str
    """All of the answer; of one that was begun, what is new."""

    boxed: str | None
    """The content of the answer's last \\boxed{}; None if there is none."""

    finish_reason: FinishReason
    """Why the reply ended: "stop" by itself, "length" for want of tokens, "cancelled"."""

    thinking_end: ThinkingEnd | None
    """How the thought ended; None for a model that does not think, and after a raw prompt.

    "natural": the model closed its thought. "budget": tokens, seconds or room for it were used up.
    "loop": it went round in circles. "user": `finish_thinking` was called. "skipped": there was no
    thought. "unclosed": the text ended inside it, because the model ended there (an answer was
    asked for all the same) or the reply was cut off.
    """

    seed: int
    """The seed; as a setting, it repeats the reply."""

    usage: Usage
    """Counts of tokens."""

    timings: Timings
    """Seconds."""

    parsed: Any = None
    """The value of a structured answer that came to its end, else None.

    What its JSON means, an instance of the class asked for, the choice, or the text that fits the
    regex.
    """

    stop_text: str | None = None
    """The one of the setting `stop` that ended the answer, and is not in it; None if none did."""

    def __repr__(self) -> str:
        """One line: the beginnings of answer and thinking, and how the reply ended."""
        parts = [
            f"model={self.model!r}",
            f"answer={shortened(self.answer)!r}",
            f"boxed={self.boxed!r}",
            f"thinking={shortened(self.thinking)!r}",
            f"finish_reason={self.finish_reason!r}",
            f"thinking_end={self.thinking_end!r}",
            f"seed={self.seed}",
        ]
        if self.parsed is not None:
            parts.insert(1, f"parsed={shown(self.parsed)}")
        return f"Reply({', '.join(parts)})"

    @property
    def thought_s(self) -> float:
        """Seconds from the end of the prompt to the answer, or to the end if none came.

        0 without a thought.
        """
        if not self.usage.thinking_tokens:
            return 0.0
        times = self.timings
        return (times.first_answer_s or times.total_s) - times.prefill_s


@dataclass(frozen=True, slots=True)
class Done:
    """The last event of every stream."""

    reply: Reply


Event: TypeAlias = ThinkingDelta | AnswerDelta | Done
