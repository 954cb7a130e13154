"""The final answer in a text."""

from __future__ import annotations

_BOXED = "\\boxed{"


def boxed(text: str) -> str | None:
    """The content of the last complete \\boxed{...}, braces inside it balanced; None if there is none."""
    end = len(text)
    while (start := text.rfind(_BOXED, 0, end)) >= 0:
        depth, index = 1, start + len(_BOXED)
        while index < len(text) and depth:
            if text[index] == "\\":
                index += 1
            else:
                depth += {"{": 1, "}": -1}.get(text[index], 0)
            index += 1
        if not depth:
            return text[start + len(_BOXED) : index - 1].strip()
        end = start
    return None
