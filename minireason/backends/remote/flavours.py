"""Kinds of servers: what each can do beyond the plain protocol, and how it is told so.

What follows for each of our settings is in `abilities.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavour:
    """What a kind of server understands."""

    name: str
    """The name by which it can be asked for."""

    budget_field: str | None = None
    """The field of a thinking budget in tokens; None where there is none."""

    landing_field: str | None = None
    """The field of the landing; None where the server has its own, or none."""

    thinking_off: Mapping[str, Any] = field(default_factory=dict)
    """What switches thinking off where there is no budget."""

    continues: Mapping[str, Any] | None = None
    """What makes the server go on with the assistant's last message; None where it cannot."""

    takes_thought: bool = False
    """Whether the assistant's last message may hold a thought that goes on."""

    opens_thought: bool = False
    """Whether the template has opened the thought before what the assistant's last message says."""

    control: bool = False
    """Whether a thought under way can be ended by a request."""

    lands_loops: bool = False
    """Whether the server checks for loops by itself."""

    effort: bool = False
    """Whether an effort goes as a word, since a number cannot be said."""

    every_token: int | None = None
    """The `top_k` that leaves all tokens in; None where `top_k` is not known."""

    longest_field: str = "max_tokens"
    """The field of the most tokens of thinking and answer."""

    schema: bool = True
    """Whether an answer can be held to a JSON schema."""

    structured_outputs: bool = False
    """Whether it can be held to choices and to a regular expression."""

    logprobs: bool = False
    """Whether it tells log-probabilities, and of each token up to MAX_LOGPROBS of the likeliest."""

    logprobs_where: str = ""
    """Which of its servers or models do, where not all of them; "" for all."""

    confidence_field: str | None = None
    """The field that asks for confidences as such; where there is none, logprobs make them."""

    reads_text: bool = False
    """Whether it reads text from outside as text, whatever control tokens that spells."""

    raw: bool = False
    """Whether its text is all that the model says, behind a thought that the template opened."""

    at_a_time: int | None = None
    """The most requests that it takes at a time; None where it says no more than we do."""

    extras: Mapping[str, Any] = field(default_factory=dict)
    """What else goes with every request."""

    @property
    def can_cut(self) -> bool:
        """Whether a thought ends by cutting the request off: a second one goes on with the answer.

        Ours would go on with the thought, and ends it when it is asked to.
        """
        return self.continues is not None and not self.takes_thought


_TEMPLATE_OFF = {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}}
_GO_ON = {"continue_final_message": True, "add_generation_prompt": False}

OURS = Flavour(
    name="minireason",
    budget_field="thinking_budget_tokens",
    continues={},
    takes_thought=True,
    reads_text=True,
    control=True,
    lands_loops=True,
    every_token=-1,
    structured_outputs=True,
    logprobs=True,
    confidence_field="confidences",
)
VLLM = Flavour(
    name="vllm",
    budget_field="thinking_token_budget",
    thinking_off=_TEMPLATE_OFF,
    continues=_GO_ON,
    every_token=-1,
    structured_outputs=True,
    logprobs=True,
)
SGLANG = Flavour(
    name="sglang", thinking_off=_TEMPLATE_OFF, continues=_GO_ON, every_token=-1, logprobs=True
)
LLAMA_SERVER = Flavour(
    name="llama-server",
    budget_field="thinking_budget_tokens",
    landing_field="reasoning_budget_message",
    control=True,
    every_token=-1,
    logprobs=True,
    extras={"reasoning_format": "deepseek", "reasoning_control": True, "min_p": 0.0},
)
LLAMA_CPP_PYTHON = Flavour(
    name="llama-cpp-python",
    every_token=0,
    schema=False,
    raw=True,
    at_a_time=1,  # unless told otherwise, it ends a reply as soon as another is asked for
    extras={"min_p": 0.0, "repeat_penalty": 1.0},
)
OLLAMA = Flavour(
    name="ollama",
    thinking_off={"reasoning_effort": "none"},
    effort=True,
    logprobs=True,
    logprobs_where="from 0.12.11",
)
DEEPSEEK = Flavour(
    name="deepseek", thinking_off={"thinking": {"type": "disabled"}}, effort=True, schema=False
)
OPENAI = Flavour(
    name="openai",
    thinking_off={"reasoning_effort": "none"},
    effort=True,
    longest_field="max_completion_tokens",
    logprobs=True,
    logprobs_where="no thinking model",
)
PLAIN = Flavour(name="plain")

FLAVOURS = {
    flavour.name: flavour
    for flavour in (
        OURS,
        VLLM,
        SGLANG,
        LLAMA_SERVER,
        LLAMA_CPP_PYTHON,
        OLLAMA,
        DEEPSEEK,
        OPENAI,
        PLAIN,
    )
}
"""All flavours by name."""

AUTO = "auto"
"""The name that stands for finding out."""

OWNERS = {
    "minireason": OURS,
    "vllm": VLLM,
    "sglang": SGLANG,
    "llamacpp": LLAMA_SERVER,
    "me": LLAMA_CPP_PYTHON,
    "library": OLLAMA,
    "deepseek": DEEPSEEK,
}
"""Flavours by what a list of models says of who owns them."""

HOSTS = {"api.openai.com": OPENAI, "api.deepseek.com": DEEPSEEK}
"""Flavours of servers that everybody knows."""
