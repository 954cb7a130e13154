"""Models that need no network: files of other tools, files of the user's own, and what is noted."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from minireason import ChecksumMismatch, NotInstalled
from minireason.engine import trial
from minireason.host import paths
from minireason.models import pull, store
from minireason.models.pull import Watch
from tests.models.hub import Hub
from tests.models.small import KEY, get, named


def test_what_other_tools_have_is_used_in_place(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = hub.files[KEY]
    digest = hashlib.sha256(data).hexdigest()
    (tmp_path / "blobs").mkdir()
    blob = tmp_path / "blobs" / f"sha256-{digest}"
    blob.write_bytes(data)
    entry = tmp_path / "manifests" / "registry.ollama.ai" / "library" / "small" / "latest"
    entry.parent.mkdir(parents=True)
    kind = "application/vnd.ollama.image.model"
    layer = {"mediaType": kind, "digest": f"sha256:{digest}"}
    entry.write_text(json.dumps({"layers": [layer]}))
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path))
    spec, _ = named((digest,))
    assert store.find("small").path == blob, "even before a pull"
    with pytest.raises(NotInstalled, match="another tool's file, and stays"):
        store.remove("small")
    manifest = get((digest,))
    assert manifest
    assert manifest.path == blob
    assert hub.requests == []
    assert store.remove("small") == (f"{spec.name}:Q8_0", 0)
    assert blob.exists()
    blob.write_bytes(data[:-1] + b"x")
    with pytest.raises(ChecksumMismatch, match="remove it from ollama"):
        get((digest,))


def test_import_uses_a_file_where_it_lies(tiny_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "My Model.gguf"
    path.write_bytes(tiny_path.read_bytes())
    manifest = pull.import_file(path, None, trial.run, Watch())
    assert store.find("my-model").path == path
    store.verify(manifest)
    path.write_bytes(tiny_path.read_bytes()[:-1] + b"x")
    with pytest.raises(ChecksumMismatch):
        store.verify(manifest)
    path.unlink()
    with pytest.raises(NotInstalled):
        store.verify(manifest)


def test_a_manifest_cut_in_half_costs_nothing_else(hub: Hub) -> None:
    manifest = get()
    assert manifest
    (written,) = (paths.data_dir() / "manifests").iterdir()
    written.write_text(written.read_text()[:40])
    assert store.damaged_manifests() == [written]
    assert store.find("small").path == manifest.path, "its place is enough"
