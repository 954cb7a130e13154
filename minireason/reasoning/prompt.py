"""Messages -> token ids in the model's own format; user text never becomes a control token.

The format of the R1 distills is built in, and used for files that carry one of its two published
templates; any other template is run with a placeholder for each content, and the contents are
encoded apart from it.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from minireason.engine.base import Vocabulary
from minireason.errors import ContextFull, UsageError
from minireason.messages import Message
from minireason.reasoning.begun import Begun, parted
from minireason.reasoning.encoding import encode_text
from minireason.reasoning.frames import Frame, Roles, frames
from minireason.reasoning.length import PIECE_CHARS, surely_over
from minireason.reasoning.think import (
    CLOSE,
    OPEN,
    RawText,
    State,
    Tags,
    ThinkMachine,
    without_thinking,
)

# sha256 of the template texts: as first published, and with the opened thought (Hugging Face, 10
# February 2025)
R1_TEMPLATES = (
    "b6835114b7303ddd78919a82e4d9f7d8c26ed0d7dfc36beeb12d524f6144eab1",
    "56a1447ad31926fdc21fb07e56e5642bd9c850c4f52d8c8af7bbe5f079a84f5f",
)
_USER, _ASSISTANT, _END = "<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>"


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids, and the state in which the think machine starts after them.

    `thinks` is the model's kind, `tags` are the ids of its tags. `begun` is the text at the end of
    `ids` that the reply goes on with: of its thought or, where it starts there, of its answer.
    After a `raw` one nothing is thought, and all that comes is text.
    """

    ids: list[int]
    start: State
    thinks: bool
    tags: Tags
    begun: str = ""
    raw: bool = False

    @property
    def begun_answer(self) -> str:
        """The beginning of the answer, if there is one."""
        return self.begun if self.start is State.ANSWER else ""


def machine_after(prompt: Prompt) -> ThinkMachine:
    """What tells thinking from answer in the tokens after a prompt."""
    if prompt.raw:
        return RawText()
    return ThinkMachine(prompt.start, prompt.tags, begun=bool(prompt.begun))


def _content_of(message: Message) -> str:
    """A message's content as a prompt has it."""
    content = message["content"]
    return without_thinking(content) if message["role"] == "assistant" else content


class PromptEncoder:
    """Encodes conversations for one model; `template` is the model file's own.

    `thinks` says that the model is known to think, which a template says only where it opens a
    thought or drops old ones.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        template: str,
        bos_text: str = "",
        eos_text: str = "",
        *,
        thinks: bool = False,
    ) -> None:
        self._vocabulary, self._template = vocabulary, template
        self._variables = {"bos_token": bos_text, "eos_token": eos_text}
        self._content = lru_cache(maxsize=1024)(lambda text: tuple(encode_text(vocabulary, text)))
        self._frames: dict[Roles, Frame] = {}
        special = vocabulary.special
        self.tags = Tags(special.get(OPEN), special.get(CLOSE))
        known = hashlib.sha256(template.encode()).hexdigest() in R1_TEMPLATES
        self._is_r1 = known and all(literal in special for literal in (_USER, _ASSISTANT, _END))
        self._frame = lru_cache(maxsize=64)(self._r1_frame if self._is_r1 else self._template_frame)
        self.thinks = thinks or self._is_r1 or CLOSE in template

    def encode(
        self,
        messages: Sequence[Message],
        *,
        thinking: bool = True,
        opened: bool = False,
        n_ctx: int | None = None,
    ) -> Prompt:
        """The whole conversation up to where the model goes on; raises UsageError.

        With `thinking` the thought of an R1 distill is opened, `opened` that of any thinking model;
        without, the thought that is begun, or an empty one, is closed for the model. With `n_ctx`
        one that is surely longer raises ContextFull, before it is encoded whole.
        """
        asked, begun = parted(messages)
        if n_ctx is not None and (tokens := self._surely_over(asked, begun, n_ctx)):
            raise ContextFull(tokens, n_ctx, estimated=True)
        ids = list(itertools.chain(*self._parts(asked)))
        if begun:
            begun.check(thinks=self.thinks)
        if not self.thinks:
            return self._before_answer(asked, begun) if begun else self._answering(ids)
        is_open = self._ends_with_open(ids)
        if begun or not thinking:
            ids += [] if is_open else self.opening()
            return self._thought(ids, begun or Begun(), thinking=thinking)
        if self._is_r1 or (opened and not is_open):
            return Prompt(ids + self.opening(), State.THINKING, True, self.tags)
        return Prompt(ids, State.THINKING if is_open else State.BEFORE, True, self.tags)

    def _thought(self, ids: list[int], begun: Begun, *, thinking: bool) -> Prompt:
        """A prompt that goes on inside a thought or, where that is over, behind it."""
        ids = ids + self.text(begun.thinking)
        if thinking and not begun.answer:
            return Prompt(ids, State.THINKING, True, self.tags, begun.thinking)
        ids += self.closing(after_line=begun.thinking.endswith("\n"))
        return self._answering(ids, begun.answer)

    def _answering(self, ids: list[int], begun: str = "") -> Prompt:
        """A prompt that goes on with an answer."""
        return Prompt(ids + self.text(begun), State.ANSWER, self.thinks, self.tags, begun)

    def _before_answer(self, asked: list[Message], begun: Begun) -> Prompt:
        """A prompt that goes on with the answer of a model that does not think.

        Before an answer that is there a template may put another text than before one to come. It
        is told by a conversation that goes on with a question, which all templates take.
        """
        said = Message(role="assistant", content=begun.answer)
        parts = self._parts([*asked, said, Message(role="user", content="?")])
        return self._answering(list(itertools.chain(*parts[:-4])), begun.answer)

    def count(self, messages: Sequence[Message], at_most: int | None = None) -> int:
        """How many tokens the whole conversation has; raises UsageError.

        Where that is surely more than `at_most`, an estimate above it, which costs no more than so
        many tokens would.
        """
        try:
            return len(self.encode(messages, n_ctx=at_most).ids)
        except ContextFull as error:
            return error.prompt_tokens

    def _surely_over(self, asked: list[Message], begun: Begun | None, most: int) -> int | None:
        def encoded(text: str) -> Sequence[int]:
            if len(text) < PIECE_CHARS:
                return self._content(text)
            return encode_text(
                self._vocabulary, text
            )  # a piece of a text, which will not come again

        texts = [_content_of(message) for message in asked]
        if begun:
            texts += [begun.thinking, begun.answer]
        return surely_over(texts, encoded, most)

    def encode_raw(self, text: str, *, parse_special: bool, n_ctx: int) -> Prompt:
        """A text without any template, after the bos that this vocabulary wants.

        With `parse_special` literals of control tokens become those tokens. Raises UsageError, and
        ContextFull as `encode` does.
        """

        def encoded(piece: str) -> list[int]:
            return self._tokens(piece) if parse_special else encode_text(self._vocabulary, piece)

        if tokens := surely_over([text], encoded, n_ctx):
            raise ContextFull(tokens, n_ctx, estimated=True)
        ids, bos = encoded(text), self._vocabulary.bos
        if bos is not None and ids[:1] != [bos]:
            ids = [bos, *ids]
        if not ids:
            raise UsageError("There is nothing to go on from; the prompt must not be empty.")
        return Prompt(ids, State.ANSWER, False, self.tags, raw=True)

    def prefix(self, messages: Sequence[Message]) -> list[int]:
        """What every prompt begins with that goes on from these messages with another question.

        Raises UsageError.
        """
        asked, _ = parted([*messages, Message(role="user", content="?")])
        parts = self._parts(asked)
        return list(itertools.chain(*parts[:-2]))

    def opening(self) -> list[int]:
        """The ids that open a thought."""
        return self._tokens(f"{OPEN}\n")

    def closing(self, *, after_line: bool = False) -> list[int]:
        """The ids that end a thought and begin the answer."""
        return self._tokens(f"{CLOSE}\n\n" if after_line else f"\n{CLOSE}\n\n")

    def text(self, text: str) -> list[int]:
        """The ids of plain text, none of them a special token's."""
        return list(self._content(text))

    def _tokens(self, text: str) -> list[int]:
        return self._vocabulary.tokenize(text, parse_special=True)

    def _ends_with_open(self, ids: list[int]) -> bool:
        tail = ids[-8:]
        for end in (OPEN, f"{OPEN}\n", f"{OPEN}\n\n"):
            wanted = self._tokens(end)
            if tail[-len(wanted) :] == wanted:
                return True
        return False

    def _parts(self, messages: list[Message]) -> list[Sequence[int]]:
        """The ids of the prompt in pieces: frame and content in turn.

        So the last two are the question and what follows it.
        """
        if self._is_r1:  # its template puts the last system text first, wherever it comes
            system = [message for message in messages if message["role"] == "system"][-1:]
            messages = system + [message for message in messages if message["role"] != "system"]
        roles = tuple(message["role"] for message in messages)
        frame = self._frame(roles)
        parts: list[Sequence[int]] = []
        for before, message in zip(frame, messages, strict=False):
            parts += [before, self._content(_content_of(message))]
        parts.append(frame[-1])
        bos = self._vocabulary.bos
        return parts if bos is None or parts[0][:1] == [bos] else [[bos], *parts]

    def _r1_frame(self, roles: Roles) -> list[list[int]]:
        """System text, <User> question and <Assistant> answer <end> in turn, and <Assistant>."""
        special = self._vocabulary.special
        before = {"system": [], "user": [special[_USER]], "assistant": [special[_ASSISTANT]]}
        after = {"assistant": [special[_END]]}
        frame = [
            after.get(last, []) + before[role] for last, role in itertools.pairwise(("", *roles))
        ]
        return [*frame, [special[_ASSISTANT]]]

    def _template_frame(self, roles: Roles) -> list[list[int]]:
        """What the model file's template puts before, between and after the contents."""
        if roles not in self._frames:
            self._frames |= frames(self._template, roles, self._variables)
        return [self._tokens(text) for text in self._frames[roles]]
