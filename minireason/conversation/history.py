"""What was said in a conversation, and the steps that it is made of.

A conversation changes by steps only, each a small JSON object, and a session's file
(`transcript.py`) is those steps one after the other. The same `History.apply` does a step when it
happens and when a file is read, so the two cannot differ.

    {"system": "Be brief."}                   the system prompt is now this (null: none)
    {"asked": "...", "again": false}          a question goes to the model; again: in the place of
                                              the last turn
    {"thinking": "...", "answer": "..."}      more of its reply, saved while it comes
    {"turn": {...}, "again": false}           the reply is over: the whole turn
    {"undo": true}   {"clear": true}          the last turn, or every turn, is taken back
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, TypeAlias

from minireason.errors import SessionError
from minireason.events import Reply
from minireason.messages import Message

Step: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and its reply as a session keeps them.

    The thinking is kept, and never goes into a prompt again.

    `finish_reason` is that of `Reply`, or "interrupted" where the program ended before the reply
    did; `thinking_end` is "" for a model that does not think. `at` is the time of the end, ISO 8601
    in UTC; `thought_s` and `total_s` are seconds.
    """

    question: str
    answer: str
    thinking: str = ""
    model: str = ""
    finish_reason: str = "interrupted"
    thinking_end: str = ""
    at: str = ""
    seed: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    thinking_tokens: int = 0
    answer_tokens: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    thought_s: float = 0.0
    total_s: float = 0.0

    @classmethod
    def of_reply(cls, question: str, reply: Reply) -> Turn:
        """The turn that a reply ends."""
        usage = reply.usage
        return cls(
            question=question,
            answer=reply.answer,
            thinking=reply.thinking,
            model=reply.model,
            finish_reason=reply.finish_reason,
            thinking_end=reply.thinking_end or "",
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            seed=reply.seed,
            prompt_tokens=usage.prompt_tokens,
            cached_tokens=usage.cached_tokens,
            thinking_tokens=usage.thinking_tokens,
            answer_tokens=usage.answer_tokens,
            drafted_tokens=usage.drafted_tokens,
            accepted_tokens=usage.accepted_tokens,
            thought_s=round(reply.thought_s, 3),
            total_s=round(reply.timings.total_s, 3),
        )

    def step(self, *, again: bool = False) -> Step:
        """The step that this turn is, `again` in the place of the last one."""
        return {"turn": asdict(self), "again": again}

    @classmethod
    def of_data(cls, data: object) -> Turn:
        """A turn out of a file that anybody may have written; raises ValueError."""
        if not isinstance(data, dict):
            raise ValueError("a turn is an object")
        checked: dict[str, Any] = {}
        for entry in fields(cls):
            value = data.get(entry.name, entry.default)
            if entry.type == "str":
                checked[entry.name] = text(value)
            elif (
                isinstance(value, bool)
                or not isinstance(value, int if entry.type == "int" else int | float)
                or not 0 <= value < 2**53
            ):
                raise ValueError(f"{entry.name} has to be a number")
            else:
                checked[entry.name] = value
        return cls(**checked)


def text(value: object) -> str:
    """A string out of a file, with what is no Unicode character replaced; raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("a text is missing")
    return value.encode("utf-8", "replace").decode("utf-8")


@dataclass
class History:
    """The turns that have an answer, oldest first.

    `unanswered` is a last question whose reply ended without one.
    """

    system: str | None = None
    turns: list[Turn] = field(default_factory=list)
    unanswered: str | None = None
    replaces: bool = False
    """Whether an answer to `unanswered` takes the place of the last turn, which was asked again."""
    _asked: Turn | None = field(default=None, init=False, repr=False)
    _again: bool = field(default=False, init=False, repr=False)

    def apply(self, step: Step) -> None:
        """Do one step; raises ValueError if it is none, and then nothing has changed."""
        match step:
            case {"turn": data, **rest}:
                self._add(Turn.of_data(data), rest.get("again") is True)
            case {"asked": question, **rest}:
                self._asked, self._again = Turn(text(question), ""), rest.get("again") is True
            case {"thinking": thinking, "answer": answer}:
                if self._asked:
                    turn = self._asked
                    self._asked = replace(
                        turn,
                        thinking=turn.thinking + text(thinking),
                        answer=turn.answer + text(answer),
                    )
            case {"system": system}:
                self.system = None if system is None else text(system)
            case {"undo": _}:
                del self.turns[-1:]
                self.unanswered = self._asked = None
            case {"clear": _}:
                self.turns.clear()
                self.unanswered = self._asked = None
            case _:
                raise ValueError("an unknown step")

    def close(self) -> Step | None:
        """Make a turn of a reply that was cut off with the program, and return that step.

        None if there was none.

        A retry that was cut off leaves the answer that it was to replace.
        """
        if self._asked is None:
            return None
        kept = self.turns[-1].step(again=True) if self._again and self.turns else self._asked.step()
        self.apply(kept)
        return kept

    def _add(self, turn: Turn, again: bool) -> None:
        self._asked = None
        self.unanswered = None if turn.answer else turn.question or None
        self.replaces = again and bool(self.turns) and self.unanswered is not None
        if turn.answer:
            if again:
                del self.turns[-1:]
            self.turns.append(turn)

    def last_question(self) -> str:
        """The question to ask again or to take back; raises SessionError if there is none."""
        if self.unanswered:
            return self.unanswered
        if not self.turns:
            raise SessionError("Nothing was asked yet.")
        return self.turns[-1].question

    def undoing(self) -> Step:
        """The step that takes the last question back, with its answer if it has one."""
        return {"turn": {"question": "", "answer": ""}} if self.unanswered else {"undo": True}

    def steps(self) -> list[Step]:
        """The fewest steps that lead here."""
        steps: list[Step] = [{"system": self.system}] if self.system is not None else []
        steps += [turn.step() for turn in self.turns]
        return steps + (
            [Turn(self.unanswered, "").step(again=self.replaces)] if self.unanswered else []
        )

    def messages(self, left_out: int = 0) -> list[Message]:
        """The conversation as a prompt has it, without thinking.

        The oldest `left_out` turns are not in it.
        """
        messages = [Message(role="system", content=self.system)] if self.system else []
        for turn in self.turns[left_out:]:
            messages += [
                Message(role="user", content=turn.question),
                Message(role="assistant", content=turn.answer),
            ]
        return messages
