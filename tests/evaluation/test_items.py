from __future__ import annotations

import json
from pathlib import Path

import pytest

from minireason import Message, UsageError
from minireason.evaluation.items import Item, read

SETS = Path(__file__).parents[2] / "bench" / "tiny" / "sets"


def test_the_sets_of_tiny_can_be_read() -> None:
    items = read(SETS / "test.jsonl")
    assert (len(items.items), items.broken) == (800, {})
    turn = next(item for item in items.items if item.history)
    assert [message["role"] for message in turn.messages("Be brief.")] == [
        "system",
        "user",
        "assistant",
        "user",
    ]
    assert turn.messages(None)[-1] == Message(role="user", content=turn.question)
    assert turn.further["family"] == "follow"


def test_an_item_is_its_line_again() -> None:
    line = {"question": "q", "answer": "4", "history": [["a", "b"]], "level": 5, "tags": ["x"]}
    assert Item.of(3, line).json() == line
    assert Item.of(3, {"question": "q", "answer": 204}).answer == "204"


def test_broken_lines_are_named_by_number_and_the_rest_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    good = json.dumps({"question": "2 + 2", "answer": "4"})
    lines = [
        good,
        "{",
        "[]",
        '{"answer": 1}',
        '{"question": "q"}',
        '{"question": "q", "answer": null}',
        "",
        good,
    ]
    lines += [
        '{"question": "q", "answer": 1, "history": ["x"]}',
        '{"question": "q", "answer": 1, "history": 5}',
        "[" * 100_000,
    ]
    path.write_bytes("\n".join(lines).encode() + b'\n{"question": "\xff", "answer": "4"}')
    items = read(path)
    assert [item.number for item in items.items] == [1, 8]
    assert list(items.broken) == [2, 3, 4, 5, 6, 9, 10, 11, 12]
    assert items.broken[2] == items.broken[11] == "it is no JSON"
    assert items.broken[12].startswith("it is not UTF-8 text; convert the file first")
    assert items.broken[4] == 'it has no "question" that is text'


def test_sets_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read(tmp_path / "missing.jsonl")
    (tmp_path / "other.jsonl").write_text('{"problem": "q", "answer": "4"}\n')
    with pytest.raises(UsageError, match="convert"):
        read(tmp_path / "other.jsonl")
