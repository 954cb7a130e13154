"""Sets of questions with known answers: JSONL, one object a line.

    {"question": "What is 2 + 2?", "answer": "4", "history": [["What is 1 + 1?", "2"]], ...}

An answer that is no string is taken as JSON. `history` holds earlier turns, if there are any; all
other keys are kept and mean nothing here.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from minireason.errors import UsageError
from minireason.host import files, state
from minireason.messages import Message

_MAX_BYTES = 2**30


@dataclass(frozen=True, slots=True)
class Item:
    """A question and its answer."""

    number: int
    """Its line in the file, from 1."""

    question: str
    """The question."""

    answer: str
    """The right answer."""

    history: tuple[tuple[str, str], ...] = ()
    """Earlier questions with their answers."""

    further: dict[str, object] = field(default_factory=dict)
    """All other keys of its line."""

    @staticmethod
    def of(number: int, value: object) -> Item:
        """Read what a line holds; raises ValueError that says what is wrong with it."""
        if not isinstance(value, dict):
            raise ValueError("it is no JSON object")
        further = dict(value)
        question, answer = further.pop("question", None), further.pop("answer", None)
        history = further.pop("history", [])
        if not isinstance(question, str) or not question.strip():
            raise ValueError('it has no "question" that is text')
        text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
        if answer is None or not text.strip():
            raise ValueError('it has no "answer"')
        return Item(number, question, text, _turns(history), further)

    def json(self) -> dict[str, object]:
        """The object of its line again."""
        history = {"history": [list(turn) for turn in self.history]} if self.history else {}
        return {"question": self.question, "answer": self.answer, **history, **self.further}

    def messages(self, system: str | None) -> list[Message]:
        """The conversation that ends with the question."""
        messages = [Message(role="system", content=system)] if system else []
        for question, answer in self.history:
            messages += [
                Message(role="user", content=question),
                Message(role="assistant", content=answer),
            ]
        return [*messages, Message(role="user", content=self.question)]


@dataclass(frozen=True, slots=True)
class ItemSet:
    """A file of items."""

    name: str
    """The file's name."""

    sha256: str
    """The hash of its bytes."""

    items: tuple[Item, ...]
    """The items on its lines."""

    broken: dict[int, str]
    """By line number what is wrong with the lines that are left out."""


def read(path: Path) -> ItemSet:
    """Read a set; raises UsageError if the file cannot be read or no line of it can be used."""
    try:
        raw = files.read_bytes(path, _MAX_BYTES)
    except OSError as error:
        raise UsageError(
            f"The set {path} cannot be read ({error.strerror}); give the path of a JSONL file."
        ) from None
    items, broken = [], {}
    for number, line in enumerate(raw.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            items.append(Item.of(number, json.loads(line)))
        except (RecursionError, json.JSONDecodeError, UnicodeDecodeError):
            broken[number] = state.not_json(line)
        except ValueError as error:
            broken[number] = str(error)
    if not items:
        first = next((f" (line {number}: {problem})" for number, problem in broken.items()), "")
        raise UsageError(
            f'{path} has no line like {{"question": "...", "answer": "..."}}{first}; '
            "bench/eval_sets/convert.py rewrites others."
        )
    return ItemSet(path.name, hashlib.sha256(raw).hexdigest(), tuple(items), broken)


def _turns(history: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(history, list) or not all(map(_is_turn, history)):
        raise ValueError('its "history" is no list of [question, answer]')
    return tuple((question, answer) for question, answer in history)


def _is_turn(turn: object) -> bool:
    if not isinstance(turn, list) or len(turn) != 2:
        return False
    return all(isinstance(text, str) for text in turn)
