"""Traces: what is there counts, what is torn is mended, what is another run's is refused."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest

from minireason import Chain, StoreError, UsageError
from minireason.evaluation.items import Item
from minireason.evaluation.trace_format import Run
from minireason.evaluation.traces import Traces, Writer, default_path, load, resume

RUN = Run(
    model="tiny",
    model_sha256="ab" * 32,
    set="set.jsonl",
    set_sha256="cd" * 32,
    seed=7,
    system=None,
    instruction="",
    settings={"temperature": 0.6, "choices": None},
)
ITEMS = [
    Item(line, f"{line} + 1?", str(line + 1), (("1 + 1?", "2"),), {"line": "own"})
    for line in (1, 2, 4)
]


def chain(index: int, answer: str | None = "2", *, replaced: bool = False) -> Chain:
    return Chain(
        index,
        5,
        0.6,
        "thought",
        "text",
        answer,
        answer,
        "stop",
        "natural",
        10,
        1.5,
        0.1,
        replaced=replaced,
    )


def written(path: Path) -> Traces:
    traces = resume(path, RUN)
    with Writer(traces) as writer:
        for item in ITEMS[:2]:
            for index in range(2):
                writer.write(item, chain(index))
    return traces


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "traces.jsonl"
    kept = written(path)
    again = resume(path, RUN)
    assert again.run == RUN
    assert list(again.items.values()) == ITEMS[:2]
    assert again.chains.keys() == kept.chains.keys()
    assert again.chains[2, 1] == [replace(chain(1), thinking="", text="")]
    assert again.seconds == pytest.approx(kept.seconds, abs=0.001)
    assert again.missing(ITEMS, 2) == [(ITEMS[2], 0, False), (ITEMS[2], 1, False)]
    assert [entry[1] for entry in again.missing(ITEMS[:1], 3)] == [2], (
        "a run can go on with more chains"
    )
    assert again.tries(ITEMS[2], 1) is None
    first = json.loads(path.read_text().splitlines()[1])
    assert first["chain"]["thinking"] == "thought", "the text is kept for whoever looks"
    assert first["item"]["line"] == "own"


@pytest.mark.parametrize("cut", [1, 2, 60])
def test_a_torn_last_line_is_mended(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "traces.jsonl"
    written(path)
    path.write_bytes(path.read_bytes()[:-cut])
    traces = resume(path, RUN)
    assert len(traces.missing(ITEMS[:2], 2)) == (0 if cut == 1 else 1)
    with Writer(traces) as writer:
        for item, index, _ in traces.missing(ITEMS, 2):
            writer.write(item, chain(index))
    again = resume(path, RUN)
    assert (again.missing(ITEMS, 2), again.damaged) == ([], 0)
    assert len(path.read_bytes().splitlines()) == 7


def test_damaged_lines_are_left_out_and_run_again(tmp_path: Path) -> None:
    path = tmp_path / "traces.jsonl"
    written(path)
    lines = path.read_text().splitlines()
    lines[1] = "nonsense"
    lines[2] = lines[2].replace('"tokens": 10', '"tokens": "many"')
    lines[3] = "{}"
    lines[4] = re.sub(r'"run_s": [\d.]+', f'"run_s": 1{400 * "0"}', lines[4])
    path.write_text("\n".join(lines) + "\n")
    traces = load(path)
    assert traces.damaged == 4
    assert [(item.number, index) for item, index, _ in traces.missing(ITEMS[:2], 2)] == [
        (1, 0),
        (1, 1),
        (2, 0),
        (2, 1),
    ]


@pytest.mark.parametrize("name", [field.name for field in fields(Chain)])
def test_a_field_that_is_not_there_is_damage(tmp_path: Path, name: str) -> None:
    path = tmp_path / "traces.jsonl"
    written(path)
    lines = path.read_text().splitlines()
    lines[2] = lines[2].replace(f'"{name}":', '"other":', 1)
    path.write_text("\n".join(lines) + "\n")
    assert load(path).damaged == (name not in {"parsed", "answer_tokens"})


@pytest.mark.parametrize(
    ("name", "forged"),
    [
        ("answer_tokens", f"1{400 * '0'}"),
        ("tokens", f"1{400 * '0'}"),
        ("tokens", "-1"),
        ("index", str(10**12)),
        ("index", "-1"),
        ("total_s", "NaN"),
        ("total_s", "-0.5"),
        ("temperature", "1e999"),
        ("confidence", "Infinity"),
        ("run_s", "NaN"),
        ("run_s", "-1"),
        ("line", "0"),
    ],
)
def test_numbers_that_cannot_be_are_damage(tmp_path: Path, name: str, forged: str) -> None:
    path = tmp_path / "traces.jsonl"
    written(path)
    lines = path.read_text().splitlines()
    lines[2], changes = re.subn(rf'"{name}": -?[\d.]+', f'"{name}": {forged}', lines[2], count=1)
    path.write_text("\n".join(lines) + "\n")
    traces = load(path)
    assert (changes, traces.damaged, len(traces.chains)) == (1, 1, 3)
    assert 0 <= traces.seconds < 1e9


def test_a_chain_that_went_round_in_circles_is_whole_once_it_is_replaced(tmp_path: Path) -> None:
    traces = resume(tmp_path / "traces.jsonl", RUN)
    with Writer(traces) as writer:
        writer.write(ITEMS[0], chain(0, replaced=True))
        assert traces.missing(ITEMS[:1], 2) == [(ITEMS[0], 0, True), (ITEMS[0], 1, False)]
        assert traces.missing(ITEMS[:1], 1) == [], "nothing replaces it where nobody votes"
        writer.write(ITEMS[0], chain(0))
    again = resume(traces.path, RUN)
    assert [[one.replaced for one in tries] for tries in again.tries(ITEMS[0], 1) or []] == [
        [True, False]
    ]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (replace(RUN, seed=8), "its seed is 7, this one's 8"),
        (replace(RUN, model="r1-7b"), 'its model is "tiny", this one\'s "r1-7b"'),
        (replace(RUN, model_sha256="00" * 32), "its model was another"),
        (replace(RUN, set_sha256="00" * 32), "its set was another"),
        (
            replace(RUN, settings={"temperature": 1.0, "choices": None}),
            "its temperature is 0.6, this one's 1.0",
        ),
    ],
)
def test_a_file_of_another_run_is_refused_and_kept(tmp_path: Path, other: Run, said: str) -> None:
    path = tmp_path / "traces.jsonl"
    written(path)
    before = path.read_bytes()
    with pytest.raises(UsageError) as caught:
        resume(path, other)
    assert said in str(caught.value)
    assert path.read_bytes() == before


def test_a_seed_that_was_not_said_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "traces.jsonl"
    drawn = resume(path, replace(RUN, seed=None))
    assert isinstance(drawn.run.seed, int)
    with Writer(drawn) as writer:
        writer.write(ITEMS[0], chain(0))
    assert resume(path, replace(RUN, seed=None)).run == drawn.run


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("my notes", "no traces"),
        ('{"minireason_session": 1}\n', "no traces"),
        ('{"minireason_traces": 2}\n', "newer minireason"),
        ('{"minireason_traces": 1, "run": {"seed": 1}}\n', "which run"),
        ('{"minireason_traces": 1, "run": "tiny"}\n', "which run"),
        ('{"minireason_traces": 1}\n', "which run"),
        *(
            (
                json.dumps({"minireason_traces": 1, "run": {**asdict(RUN), **forged}}) + "\n",
                "which run",
            )
            for forged in (
                {"settings": None},
                {"model": None},
                {"seed": "1"},
                {"system": 1},
                {"settings": {"top_p": float("nan")}},
            )
        ),
    ],
)
def test_files_that_are_no_traces_are_refused_and_kept(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "traces.jsonl"
    path.write_text(text)
    with pytest.raises(UsageError, match=said):
        resume(path, RUN)
    assert path.read_text() == text
    with pytest.raises(UsageError, match="cannot be read"):
        load(tmp_path / "missing.jsonl")


def test_an_empty_file_is_a_run_that_has_not_begun(tmp_path: Path) -> None:
    path = tmp_path / "traces.jsonl"
    path.touch()
    written(path)
    assert len(load(path).chains) == 4


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    traces = Traces(tmp_path / "file" / "traces.jsonl", RUN)
    with pytest.raises(StoreError, match="cannot be written"):
        Writer(traces)


def test_every_run_has_a_file_of_its_own() -> None:
    path = default_path(RUN)
    assert path.name.startswith("set.tiny.")
    assert default_path(RUN) == path
    assert (
        len(
            {
                path,
                default_path(replace(RUN, seed=None)),
                default_path(replace(RUN, system="s")),
                default_path(replace(RUN, model="a:b")),
            }
        )
        == 4
    )
