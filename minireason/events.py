"""What comes out: events of a stream, and the reply that they add up to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from minireason.errors import shortened, shown

FinishReason: TypeAlias = Literal["stop", "length", "cancelled"]
ThinkingEnd: TypeAlias = Literal["natural", "budget", "loop", "user", "skipped", "unclosed"]


@dataclass(frozen=True, slots=True)
class ThinkingDelta:
    """The next piece of the thinking, at least one whole character."""

    text: str


@dataclass(frozen=True, slots=True)
class AnswerDelta:
    """The next piece of the answer, at least one whole character."""

    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts. `cached_tokens` of the prompt were there before the stream began, and not computed again. The model's own
    closing tag counts as thinking,
    what a loop was rewound over too. `forced_tokens` were put in for the model and count nowhere else: landing message, closing
    tag, opened final answer."""

    prompt_tokens: int
    cached_tokens: int
    thinking_tokens: int
    answer_tokens: int
    forced_tokens: int


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds of wall time; `first_token_s` and `first_answer_s` count from the request, None if none came."""

    load_s: float
    prefill_s: float
    first_token_s: float | None
    first_answer_s: float | None
    total_s: float
    tokens_per_s: float | None


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """A whole reply.

    `thinking` and `answer` are all that was shown, the rounds of a loop included that the model did not see any more when it
    answered. `boxed` is the content of the answer's last \\boxed{}; `seed` repeats the reply when given back as a setting.
    `thinking_end` is None for a model that does not think, else
    "natural": the model closed its thought; "budget": tokens, seconds or room for it were used up; "loop": it went round in
    circles; "user": `finish_thinking` was called; "skipped": there was no thought; "unclosed": the text ended inside it, because
    the model ended there (an answer was asked for all the same) or the reply was cut off. `parsed` is the value of a structured
    answer that came to its end: what JSON means, an instance of the class asked for, the choice, or the text that fits the regex.
    """

    model: str
    thinking: str
    answer: str
    boxed: str | None
    finish_reason: FinishReason
    thinking_end: ThinkingEnd | None
    seed: int
    usage: Usage
    timings: Timings
    parsed: Any = None

    def __repr__(self) -> str:
        """What it says, in a line: the beginnings of answer and thinking, and how it ended."""
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
        """Seconds from the end of the prompt to the answer, or to the end where none came; 0 without a thought."""
        times = self.timings
        return (
            (times.first_answer_s or times.total_s) - times.prefill_s
            if self.usage.thinking_tokens
            else 0.0
        )


@dataclass(frozen=True, slots=True)
class Done:
    """The last event of every stream."""

    reply: Reply


Event: TypeAlias = ThinkingDelta | AnswerDelta | Done
