"""Messages -> token ids in the model's own format, in which user text can never become a control token.

The format of the R1 distills is built in, and used for files that carry one of its two published templates; any other
template is run with a placeholder for each content, and the contents are encoded apart from it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from minireason.errors import UsageError
from minireason.events import Message
from minireason.reasoning.template import TemplateError, render
from minireason.reasoning.think import CLOSE, OPEN, State, Tags

# sha256 of the template texts: as first published, and with the opened thought (Hugging Face, 10 February 2025)
R1_TEMPLATES = (
    "b6835114b7303ddd78919a82e4d9f7d8c26ed0d7dfc36beeb12d524f6144eab1",
    "56a1447ad31926fdc21fb07e56e5642bd9c850c4f52d8c8af7bbe5f079a84f5f",
)
_USER, _ASSISTANT, _END = "<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>"
_ROLES = ("system", "user", "assistant")


class Vocabulary(Protocol):
    """What encoding needs of a model; see `engine.llama.Model`."""

    @property
    def bos(self) -> int | None: ...
    @property
    def special(self) -> dict[str, int]: ...
    def tokenize(self, text: str, *, parse_special: bool) -> list[int]: ...


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids, and the state in which the think machine starts after them; `thinks` is the model's kind."""

    ids: list[int]
    start: State
    thinks: bool


def encode_text(vocabulary: Vocabulary, text: str) -> list[int]:
    """Token ids of text from outside; whatever literals it contains, none is the id of a special token.

    `parse_special=False` is not enough: llama.cpp still turns literals of user-defined tokens, which <think> and
    </think> are in R1's vocabulary, into those tokens. So the text is cut inside every literal and the pieces are
    encoded one by one.
    """
    cuts = {0, len(text)}
    for literal in vocabulary.special:
        index = text.find(literal) if len(literal) > 1 else -1
        while index >= 0:
            cuts.add(index + 1)
            index = text.find(literal, index + 1)
    pieces = [text[start:end] for start, end in pairwise(sorted(cuts))]
    ids = [token for piece in pieces for token in vocabulary.tokenize(piece, parse_special=False)]
    forbidden = {token for literal, token in vocabulary.special.items() if len(literal) > 1}
    if not forbidden.isdisjoint(ids):  # no vocabulary is known to do this; a character alone is never a special token
        ids = [token for character in text for token in vocabulary.tokenize(character, parse_special=False)]
    return ids


def check_messages(messages: Sequence[Message]) -> list[Message]:
    """The messages if they make a conversation that ends with a question; raises UsageError."""
    checked = []
    for index, message in enumerate(messages):
        role, content = message.get("role"), message.get("content")
        if role not in _ROLES or not isinstance(content, str):
            raise UsageError(f"Message {index + 1} needs a role out of {', '.join(_ROLES)} and a content that is text.")
        try:
            content.encode("utf-8")
        except UnicodeEncodeError:
            raise UsageError(f"Message {index + 1} holds characters that are not valid Unicode; remove them.") from None
        checked.append(Message(role=role, content=content))
    if not checked or checked[-1]["role"] != "user" or not checked[-1]["content"].strip():
        raise UsageError("There is no question; the last message has to be the user's and must not be empty.")
    return checked


def without_thinking(content: str) -> str:
    """An earlier answer as it goes into the history: closed thinking dropped, an unclosed thought dropped whole."""
    answer = content.rpartition(CLOSE)[2].strip()
    return "" if answer.startswith(OPEN) else answer


class PromptEncoder:
    """Encodes conversations for one model; `template` is the model file's own."""

    def __init__(self, vocabulary: Vocabulary, template: str, bos_text: str = "", eos_text: str = "") -> None:
        self._vocabulary, self._template = vocabulary, template
        self._variables = {"bos_token": bos_text, "eos_token": eos_text}
        special = vocabulary.special
        self.tags = Tags(special.get(OPEN), special.get(CLOSE))
        known = hashlib.sha256(template.encode()).hexdigest() in R1_TEMPLATES
        self._is_r1 = known and all(literal in special for literal in (_USER, _ASSISTANT, _END))
        self.thinks = self._is_r1 or CLOSE in template

    def encode(self, messages: Sequence[Message], *, thinking: bool = True) -> Prompt:
        """The whole conversation up to where the model goes on; raises UsageError.

        With `thinking` the thought of an R1 distill is opened; without, an empty thought is written for the model.
        """
        checked = check_messages(messages)
        ids = self._r1(checked) if self._is_r1 else self._by_template(checked)
        if not self.thinks:
            return Prompt(ids, State.ANSWER, False)
        opened = self._ends_with_open(ids)
        if not thinking:
            opening = [] if opened else self._tokens(f"{OPEN}\n")
            return Prompt(ids + opening + self.closing(), State.ANSWER, True)
        if self._is_r1:
            return Prompt(ids + self._tokens(f"{OPEN}\n"), State.THINKING, True)
        return Prompt(ids, State.THINKING if opened else State.BEFORE, True)

    def closing(self, *, after_line: bool = False) -> list[int]:
        """The ids that end a thought and begin the answer."""
        return self._tokens(f"{CLOSE}\n\n" if after_line else f"\n{CLOSE}\n\n")

    def text(self, text: str) -> list[int]:
        """The ids of plain text, none of them a special token's."""
        return encode_text(self._vocabulary, text)

    def _tokens(self, text: str) -> list[int]:
        return self._vocabulary.tokenize(text, parse_special=True)

    def _ends_with_open(self, ids: list[int]) -> bool:
        tail = ids[-8:]
        for end in (OPEN, f"{OPEN}\n", f"{OPEN}\n\n"):
            wanted = self._tokens(end)
            if tail[-len(wanted) :] == wanted:
                return True
        return False

    def _r1(self, messages: list[Message]) -> list[int]:
        """bos, system text, then <User> question and <Assistant> answer <end> in turn, and <Assistant> to go on."""
        special, text = self._vocabulary.special, self._vocabulary
        system = [message["content"] for message in messages if message["role"] == "system"]
        ids = [] if text.bos is None else [text.bos]
        ids += encode_text(text, system[-1]) if system else []
        for message in messages:
            if message["role"] == "user":
                ids += [special[_USER], *encode_text(text, message["content"])]
            elif message["role"] == "assistant":
                ids += [special[_ASSISTANT], *encode_text(text, without_thinking(message["content"])), special[_END]]
        return [*ids, special[_ASSISTANT]]

    def _by_template(self, messages: list[Message]) -> list[int]:
        contents = [without_thinking(m["content"]) if m["role"] == "assistant" else m["content"] for m in messages]
        nonce = secrets.token_hex(8)
        marks = [f"MARK{nonce}N{index}END" for index in range(len(messages))]
        stand_ins = [{"role": message["role"], "content": mark} for message, mark in zip(messages, marks, strict=True)]
        try:
            rendered = render(self._template, stand_ins, self._variables)
        except TemplateError as error:
            raise UsageError(f"This model cannot take the conversation: {error}.") from None
        ids: list[int] = []
        for mark, content in zip(marks, contents, strict=True):
            before, found, rendered = rendered.partition(mark)
            if not found or mark in rendered:
                raise UsageError(
                    "This model's chat template drops, repeats or changes messages, so it is not safe to use; try without a system prompt."
                )
            ids += self._tokens(before) + encode_text(self._vocabulary, content)
        ids += self._tokens(rendered)
        bos = self._vocabulary.bos
        return ids if bos is None or ids[:1] == [bos] else [bos, *ids]
