"""Text from outside as it goes to a server that would read control tokens in it.

Most servers render the chat template and let their tokenizer read the whole as one text. A control
token that a message spells is then one, as if the template had written it: vLLM and SGLang (by
transformers), llama-server, llama-cpp-python and Ollama (by llama.cpp, with `parse_special`). No
field of theirs prevents it, and nobody tells us their vocabulary. So the literals that chat
templates are known to use are broken up here. What the user sees keeps its text.
"""

from __future__ import annotations

import re

_NAMES = "|".join(
    (
        "/?think",
        "/?s",  # the beginning and the end of a text in SentencePiece's vocabularies
        "bos|eos|unk|pad",
        "(?:start|end)_of_turn",  # Gemma
        "/?seed:[a-z_]+",  # Seed-OSS
        "sop|eop",  # GLM
        r"extra_id_\d+|SPECIAL_\d+",  # Nemotron
    )
)
_BRACKETS = "|".join(
    (
        r"/?(?:INST|SYSTEM_PROMPT|THINK|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]",  # Mistral
        r"[gs]?MASK\]",  # GLM
        r"\|(?:system|user|assistant|tool|endofturn)\|\]",  # EXAONE
        r"e~\[",  # MiniMax
    )
)
_INSIDE = r"[^\s<>|｜]{1,64}"

_BEGINNING = re.compile(
    rf"<(?=[|｜]{_INSIDE}[|｜]?>|{_INSIDE}[|｜]>|(?:{_NAMES})>)"  # <|im_end|>, <｜User｜>, <turn|>
    rf"|\[(?={_BRACKETS})"
    r"|\](?=~!?b[\[\]])"  # MiniMax
    r"|◁(?=/?think▷)"  # Kimi
)
"""The first character of a literal, seen by what follows it."""


def broken_up(text: str) -> str:
    """The text with a space inside each literal of a control token that templates use.

    These are tokens of roles, of the beginning and the end of a turn or a text, and the tags of a
    thought. Other tokens of a vocabulary, such as those of code to fill in, forge no turn.
    """
    return _BEGINNING.sub(r"\g<0> ", text)
