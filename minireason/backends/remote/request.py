"""Messages and settings -> the body of a chat completion, as a flavour wants it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from minireason.backends.base import MAX_LOGPROBS
from minireason.backends.remote.flavours import Flavour
from minireason.backends.remote.literals import broken_up
from minireason.errors import BadSetting, UsageError
from minireason.messages import Message
from minireason.reasoning.begun import Begun, parted
from minireason.reasoning.think import CLOSE, OPEN, without_thinking
from minireason.settings import LANDING, Settings

PATH = "/chat/completions"

_USUAL = Settings()
_STREAMED: Mapping[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for, in our words."""

    flavour: Flavour
    model: str
    messages: tuple[Message, ...]
    settings: Settings
    seed: int
    logprobs: int | None = None
    """So many of the likeliest tokens are told of each one of the answer; None: not asked for."""
    confidences: bool = False
    """Whether it is told how sure the model is of each token."""

    @property
    def begun(self) -> Begun | None:
        """What there is of the reply already."""
        return parted(self.messages)[1]

    @property
    def native_budget(self) -> bool:
        """Whether the server itself ends the thought in time, with the landing asked for."""
        own_landing = self.settings.landing != LANDING and not self.flavour.landing_field
        return self.flavour.budget_field is not None and not own_landing

    @property
    def told_landing(self) -> str:
        """What the server is told to end a thought with; "" where it has its own."""
        if not self.flavour.landing_field:
            return ""
        thinks = self.settings.thinking_tokens != 0
        return f"\n\n{self.settings.landing.strip()}\n" if thinks else "\n"

    def body(self) -> dict[str, Any]:
        """The body of the first request."""
        body = self._common(self.settings.max_tokens)
        body["messages"] = _wire(self.flavour, self.messages)
        if self.begun and self.flavour.continues:
            body.update(self.flavour.continues)
        return {**body, **self._thinking(), **self.flavour.extras}

    def continued(self, thinking: str, used_tokens: int) -> dict[str, Any]:
        """The body of a request that goes on from a thought which ends, with the answer."""
        longest = self.settings.max_tokens
        body = self._common(None if longest is None else max(1, longest - used_tokens))
        asked, begun = parted(self.messages)
        before = begun.thinking if begun else ""
        thought = f"{_opening(self.flavour)}{broken_up(before + thinking)}\n"
        ended = self._ended()
        content = thought if ended else f"{thought}{CLOSE}\n\n"
        body["messages"] = [*_wire(self.flavour, asked), {"role": "assistant", "content": content}]
        return {**body, **(self.flavour.continues or {}), **ended, **self.flavour.extras}

    def _ended(self) -> dict[str, Any]:
        """What lets the server close a thought that it goes on from, where it can.

        Templates of R1 take a closed thought out of what the assistant has said, and vLLM refuses
        to go on from a message of which something is missing.
        """
        return {self.flavour.budget_field: 0} if self.flavour.budget_field else {}

    def _common(self, longest: int | None) -> dict[str, Any]:
        settings, flavour = self.settings, self.flavour
        body = {"model": self.model, "seed": self.seed, **_STREAMED}
        usual = flavour.longest_field == "max_tokens"
        for name in ("temperature", "top_p"):
            value = getattr(settings, name)
            if usual or value != getattr(_USUAL, name):  # thinking models of OpenAI's take none
                body[name] = value
        if flavour.every_token is not None:
            body["top_k"] = settings.top_k or flavour.every_token
        if longest is not None:
            body[flavour.longest_field] = longest
        return body | self._scores() | _structure(settings)

    def _scores(self) -> dict[str, Any]:
        """What asks how likely the tokens were."""
        flavour, told, asked = self.flavour, dict[str, Any](), self.logprobs
        if self.confidences and flavour.confidence_field:
            told[flavour.confidence_field] = True
        elif self.confidences and flavour.logprobs:
            asked = MAX_LOGPROBS
        if asked is not None:
            # llama-server tells nothing at all where none of the likeliest are asked for
            told |= {"logprobs": True, "top_logprobs": max(1, asked)}
        return told

    def _thinking(self) -> dict[str, Any]:
        """How much to think, as far as the server is told."""
        settings, flavour = self.settings, self.flavour
        budget, told = settings.thinking_tokens, dict[str, Any]()
        if flavour.landing_field:
            told[flavour.landing_field] = self.told_landing
        if budget is None:
            return told
        if self.native_budget and flavour.budget_field:
            told[flavour.budget_field] = budget
            return told | (dict(flavour.thinking_off) if budget == 0 else {})
        if budget == 0:
            return dict(flavour.thinking_off)
        by_name = flavour.effort and settings.thinking_budget is None
        return {"reasoning_effort": settings.effort} if by_name else {}


def check(flavour: Flavour, settings: Settings) -> None:
    """Raise BadSetting for what a flavour cannot do."""
    where = f"a server of the kind {flavour.name}"
    if settings.min_thinking != _USUAL.min_thinking:
        _refuse("min_thinking", settings, f"cannot be told to {where}; leave it out")
    if (settings.choices or settings.regex) and not flavour.structured_outputs:
        name = "choices" if settings.choices else "regex"
        _refuse(name, settings, f"cannot be followed by {where}; use a schema")
    if settings.schema is not None and not flavour.schema:
        _refuse("schema", settings, f"cannot be followed by {where}")
    if settings.landing != LANDING and not (flavour.landing_field or flavour.can_cut):
        _refuse("landing", settings, f"cannot be told to {where}, which has its own")
    if not settings.loop_check and flavour.lands_loops:
        _refuse("loop_check", settings, f"cannot be told to {where}, which always checks")
    if settings.thinking_seconds is not None and not (flavour.control or flavour.can_cut):
        _refuse("thinking_seconds", settings, f"cannot be kept by {where}, nor can we land it")
    _check_budget(flavour, settings, where)


def check_logprobs(flavour: Flavour, logprobs: int | None) -> None:
    """Raise BadSetting where log-probabilities are asked for and a flavour tells none."""
    if logprobs is not None and not flavour.logprobs:
        problem = f"cannot be told by a server of the kind {flavour.name}; leave it out"
        raise BadSetting("logprobs", logprobs, problem)


def _check_budget(flavour: Flavour, settings: Settings, where: str) -> None:
    if settings.thinking_tokens is None or flavour.budget_field or flavour.can_cut:
        return
    if settings.thinking_tokens == 0 and flavour.thinking_off:
        return
    if flavour.effort and settings.thinking and settings.thinking_budget is None:
        return
    name = "thinking_budget" if settings.thinking_budget is not None else "thinking"
    if settings.thinking and settings.thinking_budget is None:
        name = "effort"
    _refuse(
        name,
        settings,
        f"cannot be kept by {where}: it has no such field, and does not go on with a reply that "
        "was cut; leave it out, or name another flavour if it is one",
    )


def _refuse(name: str, settings: Settings, problem: str) -> None:
    raise BadSetting(name, getattr(settings, name), problem)


def _structure(settings: Settings) -> dict[str, Any]:
    """What the answer is held to."""
    if settings.schema is not None:
        from minireason.reasoning.structured import values

        schema, _ = values.of(settings.schema)
        named = {"name": "answer", "schema": schema, "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": named}}
    if settings.choices is not None:
        return {"structured_outputs": {"choice": list(settings.choices)}}
    if settings.regex is not None:
        return {"structured_outputs": {"regex": settings.regex}}
    return {}


def _wire(flavour: Flavour, messages: Sequence[Message]) -> list[dict[str, str]]:
    """The messages in OpenAI's words; raises UsageError for a reply that cannot be gone on with."""
    asked, begun = parted(messages)
    told = [{"role": each["role"], "content": _content(flavour, each)} for each in asked]
    if begun is None:
        return told
    if flavour.continues is None:
        raise UsageError(
            f"A server of the kind {flavour.name} does not go on with a reply that is begun; "
            "end the messages with the user's."
        )
    if flavour.takes_thought:
        return [*told, _with_thought(begun)]
    thinking, answer = broken_up(begun.thinking), broken_up(begun.answer)
    has_thought = bool(thinking or not answer or flavour.opens_thought)
    said = f"{_opening(flavour)}{thinking}" if has_thought else ""
    said += f"\n{CLOSE}\n\n{answer}" if has_thought and answer else answer
    return [*told, {"role": "assistant", "content": said}]


def _opening(flavour: Flavour) -> str:
    """What opens a thought in the assistant's last message."""
    return "" if flavour.opens_thought else f"{OPEN}\n"


def _content(flavour: Flavour, message: Message) -> str:
    """What an earlier message says; a thought is dropped here, since its tags are broken up."""
    content = message["content"]
    if flavour.reads_text:
        return content
    return broken_up(without_thinking(content) if message["role"] == "assistant" else content)


def _with_thought(begun: Begun) -> dict[str, str]:
    """A message with its thought in a field of its own."""
    said = {"role": "assistant", "content": begun.answer}
    return said | ({"reasoning_content": begun.thinking} if begun.thinking else {})
