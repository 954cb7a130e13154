"""Downloads against a real server with faults, and what they leave behind."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from minireason import (
    ChecksumMismatch,
    DiskFull,
    DownloadFailed,
    EngineError,
    ModelFileError,
    NotInstalled,
    Offline,
    StoreError,
)
from minireason.engine import trial
from minireason.host import paths
from minireason.models import catalog, download, pull, store
from minireason.models.pull import Watch
from minireason.models.spec import ModelSpec, Quant
from minireason.models.store import Manifest
from tests.models.hub import COMMIT, Hub, used

KEY = "some/repo/small.gguf"


@pytest.fixture
def hub(tiny_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    server = Hub({KEY: tiny_path.read_bytes()})
    used(server, monkeypatch)
    monkeypatch.setattr(download, "WAITS_S", (0.0, 0.0, 0.0))
    yield server
    server.close()


def named(
    sha256: tuple[str, ...] = (), files: tuple[str, ...] = ("small.gguf",)
) -> tuple[ModelSpec, Quant]:
    """A model of the user's own catalogue."""
    paths.config_dir().mkdir(parents=True, exist_ok=True)
    lines = ["[small]", "[small.quants.Q8_0]", 'repo = "some/repo"', f"files = {json.dumps(files)}"]
    lines += [f"sha256 = {json.dumps(sha256)}"] if sha256 else []
    (paths.config_dir() / "models.toml").write_text("\n".join(lines))
    spec, _ = catalog.find("small")
    return spec, spec.quants["Q8_0"]


def get(sha256: tuple[str, ...] = ()) -> Manifest | None:
    return pull.pull(*named(sha256), open_once=lambda path: None, watch=Watch())


def nothing_installed() -> bool:
    return (
        not store.installed()
        and not store.manifests()
        and not list(paths.models_dir().glob("*.gguf"))
    )


def test_a_pull_installs_verifies_and_records(hub: Hub) -> None:
    seen: list[tuple[int, int]] = []
    manifest = pull.pull(
        *named(), open_once=trial.run, watch=Watch(bytes=lambda done, of: seen.append((done, of)))
    )
    data = hub.files[KEY]
    assert manifest
    assert manifest.path.read_bytes() == data
    assert manifest.files[0].sha256 == hashlib.sha256(data).hexdigest()
    assert seen[-1] == (len(data), len(data))
    assert store.find("small").path == manifest.path
    assert store.find("small").label == "small:Q8_0"
    assert [path.name for path in paths.models_dir().iterdir() if path.name != ".incoming"] == [
        "small.gguf"
    ]
    store.verify(manifest)
    assert get() is None, "it is there already"
    assert hub.sent_bytes == len(data)
    (request,) = [line for line in hub.requests if line.startswith("GET /some")]
    assert f"/resolve/{COMMIT}/" in request, "the bytes of the commit that was described"


@pytest.mark.parametrize("repack", [False, True])
def test_a_pulled_file_need_not_be_tried_again(hub: Hub, repack: bool) -> None:
    def open_once(path: Path) -> None:
        store.remember_opened(path, repack=repack)

    manifest = pull.pull(*named(), open_once=open_once, watch=Watch())
    assert manifest
    assert store.was_opened(manifest.path)
    assert store.was_opened(manifest.path, repack=True) is repack


@pytest.mark.parametrize(
    "faults",
    [
        ["drop:100000", "drop:300000", ""],
        ["status:503", "status:429", ""],
        ["drop:200000", "norange"],
        ["drop:1", "drop:1", "drop:1", "drop:1", "drop:1", "drop:1", "drop:1", ""],
    ],
)
def test_passing_trouble_is_waited_out(hub: Hub, faults: list[str]) -> None:
    hub.faults = faults
    manifest = get()
    assert manifest
    assert manifest.path.read_bytes() == hub.files[KEY]


def test_a_server_that_stalls_is_asked_again(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.3)
    hub.faults = ["stall"]
    manifest = get()
    assert manifest
    assert manifest.path.read_bytes() == hub.files[KEY]


def test_lasting_trouble_keeps_what_came(hub: Hub) -> None:
    hub.faults = ["drop:500000", *["status:500"] * 20]
    with pytest.raises(DownloadFailed, match="HTTP 500"):
        get()
    assert nothing_installed()
    hub.faults, hub.sent_bytes = [], 0
    assert get()
    assert hub.sent_bytes <= len(hub.files[KEY]) - 400_000, (
        "the next try goes on where the first one stopped"
    )


@pytest.mark.parametrize(
    ("status", "meaning"), [(401, "hf auth login"), (403, "licence"), (404, "check the name")]
)
def test_refusals_say_what_to_do(hub: Hub, status: int, meaning: str) -> None:
    hub.head_statuses = [status] * 10
    with pytest.raises(DownloadFailed, match=meaning) as caught:
        get()
    assert caught.value.status == status
    assert len(hub.requests) == 1, "asking again would not help"
    assert nothing_installed()


def test_a_busy_hub_is_asked_again(hub: Hub) -> None:
    hub.head_statuses = [429, 503]
    assert get()


def test_redirects_in_a_circle(hub: Hub) -> None:
    hub.loop = True
    with pytest.raises(DownloadFailed, match="circle"):
        get()


def test_a_flipped_byte_is_refused_and_never_installed(hub: Hub) -> None:
    hub.faults = ["flip"]
    with pytest.raises(ChecksumMismatch, match="pull again"):
        get()
    assert nothing_installed()
    assert get(), "the damaged bytes are not kept"


def test_the_pin_of_the_catalogue_counts(hub: Hub) -> None:
    with pytest.raises(ChecksumMismatch, match="another file than the catalogue"):
        get(("0" * 64,))
    assert hub.sent_bytes == 0
    assert get((hashlib.sha256(hub.files[KEY]).hexdigest(),))


def test_too_many_bytes(hub: Hub) -> None:
    hub.faults = ["more"] * 10
    with pytest.raises(DownloadFailed, match="more bytes"):
        get()


def test_a_file_that_is_no_model_is_not_installed(hub: Hub) -> None:
    hub.files[KEY] = b"GGUF" + bytes(2000)
    with pytest.raises(ModelFileError):
        get()
    assert nothing_installed()


def test_a_file_that_crashes_the_library_is_not_installed(hub: Hub) -> None:
    def crash(path: Path) -> None:
        raise ModelFileError(path, "llama.cpp crashed while opening it")

    with pytest.raises(ModelFileError, match="crashed"):
        pull.pull(*named(), open_once=crash, watch=Watch())
    assert nothing_installed()


@pytest.mark.parametrize("problem", ["the process for it did not start", "it took too long"])
def test_a_file_that_could_not_be_tried_is_kept(hub: Hub, problem: str) -> None:
    def busy(path: Path) -> None:
        raise EngineError(problem)

    with pytest.raises(EngineError):
        pull.pull(*named(), open_once=busy, watch=Watch())
    assert nothing_installed()
    sent_bytes = hub.sent_bytes
    manifest = get()
    assert manifest
    assert manifest.path.read_bytes() == hub.files[KEY]
    assert hub.sent_bytes == sent_bytes, "nothing was fetched again"


def test_no_space(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 1000)
    )
    with pytest.raises(DiskFull, match="GB free") as caught:
        get()
    assert caught.value.available_bytes == 1000
    assert hub.sent_bytes == 0


@pytest.mark.parametrize("variable", paths.OFFLINE_VARIABLES)
def test_offline_asks_nobody(hub: Hub, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(Offline, match="switched off"):
        get()
    assert hub.requests == []


def test_no_network_fails_at_once(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.close()
    monkeypatch.setattr(download, "WAITS_S", (1000.0,))
    with pytest.raises(Offline, match="can't be reached"):
        get()


def test_two_pulls_do_the_work_once(hub: Hub) -> None:
    hub.pause_s = 0.02
    steps: list[str] = []
    results: list[Manifest | None] = []

    def work() -> None:
        results.append(
            pull.pull(*named(), open_once=lambda path: None, watch=Watch(step=steps.append))
        )

    named()
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result is None for result in results) == [False, True]
    assert hub.sent_bytes == len(hub.files[KEY])
    assert any("another process" in step for step in steps)


def test_split_models(hub: Hub, tiny_path: Path) -> None:
    data = tiny_path.read_bytes()
    hub.files |= {f"some/repo/a-0000{number}-of-00002.gguf": data for number in (1, 2)}
    manifest = pull.pull(
        *named(files=("a-00001-of-00002.gguf", "a-00002-of-00002.gguf")),
        open_once=lambda path: None,
        watch=Watch(),
    )
    assert manifest
    assert [Path(file.path).name for file in manifest.files] == [
        "a-00001-of-00002.gguf",
        "a-00002-of-00002.gguf",
    ]
    assert store.remove("small") == ("small:Q8_0", 2 * len(data))
    assert nothing_installed()


def test_a_directory_that_cannot_be_written(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec, quant = named()
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("MINIREASON_HOME", str(tmp_path / "file"))
    with pytest.raises(StoreError, match="MINIREASON_HOME"):
        pull.pull(spec, quant, open_once=lambda path: None, watch=Watch())


def test_a_symlink_in_the_way_is_replaced_and_not_followed(hub: Hub, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    spec, quant = named()
    hub.faults = ["drop:1000", *["status:500"] * 10]
    with pytest.raises(DownloadFailed):
        pull.pull(spec, quant, open_once=lambda path: None, watch=Watch())
    (part,) = paths.models_dir().rglob("*.part")
    part.unlink()
    part.symlink_to(precious)
    hub.faults = []
    with pytest.raises(StoreError):
        pull.pull(spec, quant, open_once=lambda path: None, watch=Watch())
    assert precious.read_text() == "mine"


@pytest.mark.parametrize("etag", ["../../../escaped", "/etc/escaped"])
def test_a_server_cannot_choose_where_files_go(hub: Hub, etag: str) -> None:
    hub.etag = etag
    manifest = get()
    assert manifest
    assert manifest.path.parent == paths.models_dir()
    assert not list(paths.data_dir().rglob("escaped"))


def test_a_token_stays_with_the_hub(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert get()
    assert hub.cdn_authorizations == [None]


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
    entry.write_text(
        json.dumps(
            {
                "layers": [
                    {
                        "mediaType": "application/vnd.ollama.image.model",
                        "digest": f"sha256:{digest}",
                    }
                ]
            }
        )
    )
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path))
    spec, _ = named((digest,))
    assert store.find("small").path == blob, "even before a pull"
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
    assert store.find("small").path == manifest.path, "the file is still found by its place"


@pytest.mark.slow
def test_kill_and_resume(hub: Hub, smollm2_path: Path) -> None:
    """kill -9 in the middle of a pull; the next one fetches only what is missing."""
    hub.files[KEY] = smollm2_path.read_bytes()
    hub.pause_s = 0.002
    named()
    environment = os.environ | {"HF_ENDPOINT": hub.url}
    command = [sys.executable, "-m", "minireason", "pull", "small", "--yes"]
    first = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    wait_for(lambda: hub.sent_bytes > len(hub.files[KEY]) // 3)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    assert nothing_installed()
    hub.pause_s = 0
    second = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert second.returncode == 0, second.stderr
    assert "is installed" in second.stdout
    assert hub.sent_bytes < 1.05 * len(hub.files[KEY])
    assert store.find("small").path.read_bytes() == hub.files[KEY]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
