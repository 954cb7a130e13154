"""Lines that are questions, and lines that are broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from minireason import BadSetting, Settings, UsageError
from minireason.batch.ids import Ids
from minireason.batch.jobs import Defaults, Job, jobs, key, read_item
from minireason.batch.lines import Line, facts, read
from minireason.host.journal import MAX_LINE_BYTES

DEFAULTS = Defaults(Settings(temperature=0.0), "Be brief.", 7)


def item(value: Any, defaults: Defaults = DEFAULTS) -> Any:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return read_item(Line(3, raw), defaults)


def planned(*values: object, defaults: Defaults = DEFAULTS) -> tuple[list[Job], dict[int, str]]:
    broken: dict[int, str] = {}
    raws = [Line(number, json.dumps(value).encode()) for number, value in enumerate(values, 1)]

    def on_broken(number: int, problem: UsageError) -> None:
        broken[number] = str(problem)

    return list(jobs(iter(raws), defaults, Ids(), on_broken)), broken


def test_a_line_has_its_own_settings_and_the_rest_is_copied() -> None:
    one = item({"question": "2 + 2?", "effort": "low", "source": ["mine"], "answer": "4"})
    assert one.id == 3, "the number of its line"
    assert one.messages == (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "2 + 2?"},
    )
    assert (one.settings.effort, one.settings.temperature) == ("low", 0.0)
    assert one.further == {"source": ["mine"], "answer": "4"}


def test_a_system_prompt_of_the_line_goes_before_the_common_one() -> None:
    own = item({"question": "hi", "system": "Mine."})
    assert own.messages[0]["content"] == "Mine."
    given = [{"role": "system", "content": "Theirs."}, {"role": "user", "content": "hi"}]
    assert list(item({"messages": given}).messages) == given


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (b"{broken", "it is no JSON"),
        (b'{"question": "hi", "x": NaN}', "a number that is not finite"),
        (b'{"question": "hi", "x": [1e999]}', "a number that is not finite"),
        (b'{"question": "hi", "id": "\\ud800"}', "not valid Unicode"),
        (b'{"question": "hi", "\xed\xa0\x80": 1}', "not valid Unicode"),
        (b'{"question": "hi", "x": "\xff"}', "it is not UTF-8 text; convert the file first"),
        (b'{"question": "hi", "id": 1' + b"0" * 5000 + b"}", "it is no JSON"),
        (b"\xff\xfe", "it is not UTF-8 text"),
        (b"[" * 100_000, "it is no JSON"),
        ([1], "it is no object"),
        ({"id": 1}, 'it has no "question" and no "messages"'),
        ({"question": " "}, 'its "question" is no text'),
        ({"question": 3}, 'its "question" is no text'),
        ({"messages": []}, 'its "messages" are no list'),
        ({"messages": "hi"}, 'its "messages" are no list'),
        ({"messages": [{"role": "robot", "content": "hi"}]}, "Message 1 needs a role"),
        ({"question": "hi", "messages": [{}]}, "leave out one of them"),
        ({"question": "hi", "system": 3}, 'its "system" is no text'),
        ({"question": "hi", "id": None}, "its id is no text"),
        ({"question": "hi", "id": True}, "its id is no text"),
        ({"question": "hi", "id": 1.5}, "its id is no text"),
        ({"question": "hi", "reply": {}}, 'its key "reply"'),
        ({"question": "hi", "sample": 1}, 'its key "sample"'),
        ({"question": "\ud800"}, "not valid Unicode"),
    ],
)
def test_a_broken_line_is_refused_with_the_reason(value: object, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        item(value)


def test_a_wrong_setting_of_a_line_is_named() -> None:
    with pytest.raises(BadSetting, match="temperature='hot': has to be a number"):
        item({"question": "hi", "temperature": "hot"})
    with pytest.raises(BadSetting, match="thinking='old thoughts': has to be True or False"):
        item({"question": "hi", "thinking": "old thoughts"})


def test_an_id_that_was_there_is_a_broken_line_and_a_text_is_no_number() -> None:
    ones, broken = planned(
        {"id": 3, "question": "a"},
        {"id": "3", "question": "b"},
        {"question": "c"},  # whose id is 3
        {"id": 3, "question": "d"},
    )
    assert [job.item.id for job in ones] == [3, "3"]
    assert broken == {
        3: "its id 3 is that of an earlier line",
        4: "its id 3 is that of an earlier line",
    }


def test_each_reply_has_a_seed_of_its_own_which_does_not_depend_on_the_others() -> None:
    many = Defaults(Settings(), None, 7, samples=3)
    ones, _ = planned({"id": "a", "question": "x"}, {"id": "b", "question": "x"}, defaults=many)
    seeds = [job.settings.seed for job in ones]
    assert len(set(seeds)) == 6
    later, _ = planned({"id": "z", "question": "x"}, {"id": "b", "question": "x"}, defaults=many)
    assert [job.settings.seed for job in later][3:] == seeds[3:]
    own, _ = planned({"question": "x", "seed": 11}, defaults=many)
    assert own[0].settings.seed == 11
    assert len({job.settings.seed for job in own}) == 3


def test_replies_that_there_are_come_not_again() -> None:
    done = Ids()
    assert done.add(key("a", 0))
    assert not done.add(key("a", 0))
    raws = [Line(1, b'{"id": "a", "question": "x"}'), Line(2, b'{"id": "b", "question": "x"}')]
    defaults = Defaults(Settings(), None, 7, samples=2)
    left = list(jobs(iter(raws), defaults, done, lambda *_: None))
    assert [(job.item.id, job.sample) for job in left] == [("a", 1), ("b", 0), ("b", 1)]
    done.close()


def test_blank_lines_count_and_a_line_too_long_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    long = b'{"question": "' + b"x" * (2 * MAX_LINE_BYTES) + b'"}'
    path.write_bytes(b"\xef\xbb\xbf" + b'{"a": 1}\n\n  \n' + long + b'\n{"b": 2}')
    assert list(read(path)) == [
        Line(1, b'{"a": 1}\n'),
        Line(4, None),
        Line(5, b'{"b": 2}'),
    ]
    assert facts(path).lines == 3
    with pytest.raises(UsageError, match="it is longer than 64 MiB"):
        read_item(Line(4, None), DEFAULTS)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_another_encoding_is_told_and_not_read_in_part(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"question": "1"}\n{"question": "2"}\n', encoding)
    with pytest.raises(UsageError, match="save it in UTF-8"):
        facts(path)


def test_another_input_has_another_hash(tmp_path: Path) -> None:
    path, hashes = tmp_path / "in.jsonl", set()
    for text in ("a\nb\n", "a\n\nb\n", "ab\n", "b\na\n", ""):
        path.write_text(text)
        hashes.add(facts(path).sha256)
    assert len(hashes) == 5
