"""Refuse models whose thoughts stand between other tags than <think> and </think>.

Their template tells.

What they think would come out as their answer, with no budget and no end. A template has to show
both tags, since it takes old thoughts out of the conversation or opens a new one; a vocabulary
alone says nothing, as models of one family share it.
"""

from __future__ import annotations

from minireason.reasoning.think import CLOSE

_OTHER_TAGS = (
    ("[THINK]", "[/THINK]"),  # Magistral, Ministral reasoning
    ("<|channel|>", "<|message|>"),  # harmony: gpt-oss
    ("<|channel>", "<channel|>"),  # Gemma 4
    ("<seed:think>", "</seed:think>"),  # Seed-OSS
    ("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A and R7B
    ("<|inner_prefix|>", "<|inner_suffix|>"),  # Apertus
    ("◁think▷", "◁/think▷"),  # Kimi
    ("<thinking>", "</thinking>"),
    ("<reasoning>", "</reasoning>"),
    ("<thought>", "</thought>"),
)


def other_tags(template: str) -> tuple[str, str] | None:
    """The tags that a template puts around thoughts, if they are not ours.

    None where it has ours or none.
    """
    if CLOSE in template:
        return None
    return next((pair for pair in _OTHER_TAGS if all(tag in template for tag in pair)), None)


def problem(template: str) -> str | None:
    """What to say of a model with such a template; None where nothing is wrong."""
    pair = other_tags(template)
    if pair is None:
        return None
    return (
        f"it writes its thoughts between {pair[0]} and {pair[1]}, and minireason knows <think> "
        "and </think> only; take a model that uses those, such as r1-7b or qwen3-8b"
    )
