"""Downloads against a real server with faults, and what they leave behind."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import constants

from minireason import (
    ChecksumMismatch,
    DiskFull,
    DownloadFailed,
    EngineError,
    ModelFileError,
    Offline,
    StoreError,
)
from minireason.engine import trial
from minireason.host import paths
from minireason.models import download, known_good, pull, store
from minireason.models.pull import Watch
from minireason.models.store import Manifest
from tests.models.hub import COMMIT, Hub
from tests.models.small import KEY, get, named, nothing_installed


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
        known_good.remember_opened(path, repack=repack)

    manifest = pull.pull(*named(), open_once=open_once, watch=Watch())
    assert manifest
    assert known_good.was_opened(manifest.path)
    assert known_good.was_opened(manifest.path, repack=True) is repack


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
    full = SimpleNamespace(total=10**9, used=10**9, free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
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

    wanted = named()  # it writes the catalogue, which both read

    def work() -> None:
        results.append(
            pull.pull(*wanted, open_once=lambda path: None, watch=Watch(step=steps.append))
        )

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
