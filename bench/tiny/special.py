"""The special tokens of R1's format."""

from __future__ import annotations

SPECIAL = (
    "<｜begin▁of▁sentence｜>",
    "<｜end▁of▁sentence｜>",
    "<｜User｜>",
    "<｜Assistant｜>",
    "<think>",
    "</think>",
)
"""Their texts, in the order of their ids."""
