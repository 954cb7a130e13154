"""The whole name of a model counts: repository, revision, folders and file.

And what was installed before is still there.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from huggingface_hub import constants

from minireason import DownloadFailed, NotInstalled, UnknownModel
from minireason.host import paths
from minireason.models import catalog, pull, store
from minireason.models.pull import Watch
from minireason.models.store import Manifest, StoredFile
from tests.models.hub import Hub


def get(name: str) -> Manifest | None:
    spec, quant = catalog.find(name)
    return pull.pull(
        spec, quant or spec.quants[spec.default_quant], open_once=lambda path: None, watch=Watch()
    )


def entry(name: str, repo: str) -> str:
    return f'[{name}.quants.Q8_0]\nrepo = "{repo}"\nfiles = ["small.gguf"]\n'


def put(path: Path, data: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def note_old(name: str, path: Path) -> None:
    """A manifest as minireason 0.1.0 wrote it."""
    stored = {"path": str(path), "bytes": 1, "sha256": "ab" * 32}
    text = {"name": name, "quant": "", "files": [stored], "source": "o/r@main", "date": "2026"}
    put(store.manifest_path(name), json.dumps(text).encode())


def test_folders_and_revisions_are_part_of_the_name(hub: Hub, tiny_path: Path) -> None:
    data = tiny_path.read_bytes()
    hub.files |= {f"o/r/{folder}x.gguf": data for folder in ("Q4/", "Q8/", "")}
    names = ["hf:o/r/Q4/x.gguf", "hf:o/r/Q8/x.gguf", "hf:o/r/x.gguf", "hf:o/r@v2/x.gguf"]
    installed = set()
    for name in names:
        with pytest.raises(NotInstalled):
            store.find(name)
        manifest = get(name)
        assert manifest, f"{name} is not there yet"
        installed.add(manifest.path)
    assert len(installed) == len(names)
    assert store.remove(names[0]) == (names[0], len(data))
    for name in names[1:]:
        assert store.find(name).label == name


def test_a_file_of_before_is_found_by_its_own_name_only(hub: Hub, tiny_path: Path) -> None:
    hub.files |= {f"o/r/{name}": tiny_path.read_bytes() for name in ("x.gguf", "Q8/x.gguf")}
    old = put(paths.models_dir() / "o--r" / "x.gguf")
    note_old("hf:o/r/Q4/x.gguf", old)
    assert store.find("hf:o/r/Q4/x.gguf").path == old
    for other in ("hf:o/r/Q8/x.gguf", "hf:o/r/x.gguf", "hf:o/r@v2/x.gguf"):
        with pytest.raises(NotInstalled):
            store.find(other)
    manifest = get("hf:o/r/x.gguf")
    assert manifest
    assert manifest.path != old
    assert old.read_bytes() == b"x", "and it is not written over"


def test_a_file_of_before_whose_manifest_is_damaged(hub: Hub) -> None:
    old = put(paths.models_dir() / "o--r" / "x.gguf")
    put(store.manifest_path("hf:o/r/Q4/x.gguf"), b"{")
    assert store.find("hf:o/r/Q4/x.gguf").path == old
    with pytest.raises(NotInstalled):
        store.find("hf:o/r/Q8/x.gguf")


def test_a_file_put_there_by_hand_is_found_at_its_place() -> None:
    with pytest.raises(NotInstalled, match=r"put x\.gguf into .*o--r@v2.Q8"):
        store.find("hf:o/r@v2/Q8/x.gguf")
    path = put(paths.models_dir() / "o--r@v2" / "Q8" / "x.gguf")
    assert store.find("hf:o/r@v2/Q8/x.gguf").path == path


def test_two_models_of_the_catalogue_with_files_of_one_name(hub: Hub, tiny_path: Path) -> None:
    hub.files["other/repo/small.gguf"] = tiny_path.read_bytes()
    entries = entry("one", "some/repo") + entry("two", "other/repo") + entry("same", "some/repo")
    put(catalog.own_path(), entries.encode())
    one, two = get("one"), get("two")
    assert one
    assert two
    assert one.path.name == two.path.name
    assert one.path != two.path
    assert get("same") is None, "the very same file"
    store.remove("two")
    assert store.find("one").path == one.path


def test_what_another_model_uses_is_not_removed(hub: Hub) -> None:
    put(catalog.own_path(), (entry("one", "some/repo") + entry("two", "some/repo")).encode())
    one = get("one")
    assert one
    store.note(Manifest("mine", "", (StoredFile(str(one.path), 1, "ab" * 32),), "a test"))
    assert store.remove("mine") == ("mine", 0)
    assert store.find("one").path == one.path


@pytest.mark.parametrize("repo", ["a--b/c", "a/-c", "a/" + "b" * 300])
def test_a_repository_that_the_hub_does_not_allow(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repo: str
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))  # where it looks first
    with pytest.raises(NotInstalled):
        store.find(f"hf:{repo}/x.gguf")
    with pytest.raises(DownloadFailed, match="not a name that the Hub allows"):
        get(f"hf:{repo}/x.gguf")


@pytest.mark.parametrize("name", ["x" * 300, "x" * 5000 + ".gguf", "a/\0b", "hf:o/r/\0.gguf"])
def test_names_that_no_system_allows_are_refused_in_words(name: str) -> None:
    with pytest.raises((NotInstalled, UnknownModel)):
        store.find(name)
