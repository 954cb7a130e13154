"""One bad file never stops a command: every state file, with everything that may be wrong in it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from minireason.host import hardware, paths
from minireason.models import catalog, catalog_file, known_good, other_tools, store
from minireason.models.catalog_file import Catalog
from minireason.reasoning.frames import frames
from tests.cli.run import minireason

DEEP = b"[" * 100_000 + b"]" * 100_000
LONG = "9" * 400
BAD = [
    DEEP,
    b'{"files": ' + DEEP + b"}",
    b"[1",
    b"\xff\xfe",
    b"",
    b"null",
    b"NaN",
    LONG.encode() * 20,
    b'{"cores": 1e999, "bytes_per_s": 1e999}',
    f'{{"cores": {LONG}, "bytes_per_s": {LONG}}}'.encode(),
    b" " * 5_000_000,
]


def bad_manifests() -> list[bytes]:
    """Manifests that are JSON and make no sense."""
    good = {"name": "a", "quant": "", "source": "s", "date": "d"}
    file = {"path": "/x.gguf", "bytes": 1, "sha256": "ab"}
    wrong = [{"bytes": 1e999}, {"bytes": True}, {"path": 1}, {"sha256": None}]
    texts = [json.dumps(good | {"files": [file | change]}) for change in wrong]
    texts += [json.dumps(good), json.dumps(good | {"files": []})]
    texts.append(
        json.dumps(good | {"files": [file | {"bytes": 0}]}).replace(
            '"bytes": 0', f'"bytes": {LONG}'
        )
    )
    return [text.encode() for text in texts]


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("data", BAD, ids=range(len(BAD)))
def test_no_content_of_a_state_file_raises(
    data: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = paths.data_dir()
    manifest = write(home / "manifests" / "a.json", data)
    write(home / "opened.json", data)
    write(home / "machine.json", data)
    write(home / "templates.json", data)
    write(catalog.own_path(), data)
    write(tmp_path / "manifests" / "r" / "model" / "latest", data)
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path))
    monkeypatch.setattr(hardware, "measure_bandwidth", lambda: 1e9)
    assert store.manifests() == []
    assert store.damaged_manifests() == [manifest]
    assert not known_good.was_opened(manifest)
    assert hardware.bandwidth(home / "machine.json") == 1e9
    assert list(other_tools.ollama()) == []
    assert store.find("tiny").trusted
    assert len(catalog.load()) > 10
    known_good.remember_opened(manifest)
    assert known_good.was_opened(manifest)
    assert frames("{{ messages[0].content }}!", ("user",), {})["user",] == ["", "!"]


@pytest.mark.parametrize("data", bad_manifests())
def test_a_manifest_that_makes_no_sense_is_damaged(data: bytes) -> None:
    path = write(paths.data_dir() / "manifests" / "a.json", data)
    assert (store.manifests(), store.damaged_manifests()) == ([], [path])


def test_paths_that_no_system_allows_are_files_that_are_gone() -> None:
    for number, path in enumerate(("x" * 100_000, "a\0b", "/" + "y" * 300)):
        stored = {"path": path, "bytes": 1, "sha256": "ab"}
        text = {"name": f"m{number}", "quant": "", "source": "", "date": "", "files": [stored]}
        write(paths.data_dir() / "manifests" / f"{number}.json", json.dumps(text).encode())
    assert len(store.manifests()) == 3
    assert store.installed() == []
    for manifest in store.manifests():
        with pytest.raises(store.NotInstalled, match="is gone"):
            store.verify(manifest)


def test_a_manifest_that_is_a_pipe_is_not_waited_for() -> None:
    pipe = write(paths.data_dir() / "manifests" / "b.json", b"").with_name("a.json")
    os.mkfifo(pipe)
    assert store.damaged_manifests()[0] == pipe


@pytest.mark.parametrize(
    "entry",
    [
        "params = inf",
        f"params = {LONG}",
        "context = -1",
        'quants.R = {repo = "a/b", files = "x"}',
        'quants.R = {repo = "a/b", files = ["a-00001-of-00002.gguf", "b/a-00001-of-00002.gguf"]}',
        "scores = {a = nan}",
        f"scores = {{a = {LONG}}}",
        "sampling = {temperature = inf}",
        "sampling = {temperature = -1}",
        "sampling = {top_p = 0}",
        "sampling = {top_k = 1.5}",
        "sampling = {seed = 1}",
        "sampling = {temperature = true}",
        'sampling = {temperature = "1"}',
        "shape = {}",
        "quants = 5",
        "quants = {}",
    ],
)
def test_a_bad_entry_of_the_catalogue_is_left_out_and_told(entry: str) -> None:
    start = entry.split()[0]
    quants = 'quants.Q = {repo = "a/b", files = ["x.gguf"]}\n' if start != "quants" else ""
    catalogue = catalog_file.parse(f"[bad]\n{quants}{entry}\n[good]\nquants.Q = {GOOD_QUANT}", "f")
    assert list(catalogue.specs) == ["good"]
    (problem,) = catalogue.problems
    assert problem.field.startswith("bad")
    assert "f" in str(problem)


GOOD_QUANT = '{repo = "a/b", files = ["x.gguf"]}'


def test_sampling_defaults_are_numbers() -> None:
    catalogue = parsed("sampling = {temperature = 1, top_p = 0.95, top_k = 20}")
    assert catalogue.specs["m"].sampling == {"temperature": 1.0, "top_p": 0.95, "top_k": 20.0}
    assert parsed("").specs["m"].sampling == {}


def parsed(line: str) -> Catalog:
    return catalog_file.parse(f"[m]\nquants.Q = {GOOD_QUANT}\n{line}", "f")


def test_the_line_of_a_problem_is_looked_for_only_where_there_is_one() -> None:
    """Once it was looked for at every table, in time that grows with the square of the entries."""
    text = "".join(f"[m{number}]\n[m{number}.quants.Q]\n" for number in range(600))
    catalogue = catalog_file.parse(text, "f")
    assert len(catalogue.problems) == 600
    assert catalogue.problems[0].line == 2
    assert catalogue.problems[-1].line is None


def test_a_catalogue_is_parsed_once_for_all_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"[m{number}]\nquants.Q = {GOOD_QUANT}" for number in range(600)]
    write(catalog.own_path(), "\n".join(lines).encode())
    parses: list[str] = []
    real = catalog_file.state.parse_toml
    monkeypatch.setattr(
        catalog_file.state, "parse_toml", lambda text: parses.append(text) or real(text)
    )
    reads: list[Path] = []
    listed = store.manifests
    monkeypatch.setattr(store, "manifests", lambda: reads.append(Path()) or listed())
    catalog.find("m599")
    store.installed()
    catalog.bare_questions("m3:Q")
    assert len(parses) == 1
    assert len(reads) == 1, "the manifests are read once for all entries"


@pytest.mark.slow
def test_commands_go_on_beside_damaged_files(tiny_path: Path) -> None:
    assert minireason("import", str(tiny_path), "--name", "mine").code == 0
    home = paths.data_dir()
    write(home / "manifests" / "bad.json", DEEP)
    for name in ("opened.json", "machine.json", "templates.json", "models.toml"):
        write(home / name, DEEP)
    for command in (
        ["ask", "--model", "mine", "--seed", "1", "What is 1 + 2?"],
        ["models"],
        ["verify"],
        ["show", "tiny"],
        ["rm", "mine"],
    ):
        done = minireason(*command)
        assert (done.code, "Traceback" in done.err) == (0, False), done
