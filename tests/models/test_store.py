from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from minireason import ModelFileError, NotInstalled, UnknownModel
from minireason.host import paths
from minireason.models import store
from minireason.models.store import Manifest, ModelFile, StoredFile


def test_what_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("README").write_text("x")
    assert store.is_path("model.gguf")
    assert store.is_path("./tiny")
    assert not store.is_path("README"), "it may be a model of that name"
    assert not store.is_path("tiny")
    assert not store.is_path("r1-7b:Q8_0")


def test_built_in_model() -> None:
    file = store.find("tiny")
    assert file.path.is_file()
    assert (file.label, file.trusted) == ("tiny", True)


def test_named_model_from_the_models_directory() -> None:
    with pytest.raises(NotInstalled, match=r"DeepSeek-R1-Distill-Qwen-7B-Q4_K_M\.gguf"):
        store.find("r1-7b")
    assert store.installed() == []
    paths.models_dir().mkdir(parents=True)
    other = paths.models_dir() / "DeepSeek-R1-Distill-Qwen-7B-Q8_0.gguf"
    other.write_bytes(b"x")
    assert store.find("r1-7b").path == other
    assert store.find("r1-7b:q8_0").label == "r1-7b:Q8_0"
    with pytest.raises(NotInstalled):
        store.find("r1-7b:Q4_K_M")
    assert [spec.name for spec, _ in store.installed()] == ["r1-7b"]


def test_a_fingerprint_is_the_hash_of_the_bytes_or_what_was_noted(
    tiny_path: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(tiny_path.read_bytes())
    file = store.find(str(copy))
    assert store.fingerprint(file) == hashlib.sha256(tiny_path.read_bytes()).hexdigest()
    store.note(Manifest("copy", "", (StoredFile(str(copy), 1, "ab" * 32),), "a test"))
    assert store.fingerprint(file) == "ab" * 32
    with pytest.raises(ModelFileError):
        store.fingerprint(ModelFile(tmp_path, "folder"))


def test_missing_path_and_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(NotInstalled, match="There is no file"):
        store.find(str(tmp_path / "no.gguf"))
    with pytest.raises(NotInstalled, match="There is no file"):
        store.find("x" * 300 + ".gguf")
    with pytest.raises(UnknownModel):
        store.find("nonsense")
    with pytest.raises(NotInstalled, match="--url"):
        store.find("http://127.0.0.1:8000/v1")


def test_a_file_in_the_current_folder_stands_for_no_model(
    tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("tiny", "r1-7b"):
        (tmp_path / name).write_bytes(tiny_path.read_bytes())
    assert store.find("tiny").trusted
    with pytest.raises(NotInstalled):
        store.find("r1-7b")
    assert store.find("./r1-7b").path.samefile(tmp_path / "r1-7b")
