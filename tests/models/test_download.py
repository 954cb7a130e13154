"""What a server may say that is not so: about places, lengths, versions, addresses and pauses."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from minireason import ChecksumMismatch, DownloadFailed, Offline, StoreError
from minireason.host import paths
from minireason.models import download, pull, store
from minireason.models.hub_name import from_hub
from minireason.models.pull import Watch
from minireason.models.spec import ModelSpec, Quant
from tests.models.hub import Hub
from tests.models.small import KEY, get, nothing_installed


def resumed(hub: Hub, *faults: str) -> bytes:
    """What is installed after a connection that broke in the middle.

    These faults are in the answers that follow.
    """
    hub.faults = ["drop:500000", *faults]
    manifest = get()
    assert manifest
    return manifest.path.read_bytes()


@pytest.mark.parametrize("fault", ["start:0", "start:400000", "etag:other"])
def test_an_answer_that_does_not_go_on_where_the_last_ended_starts_over(
    hub: Hub, fault: str
) -> None:
    assert resumed(hub, fault) == hub.files[KEY]
    assert hub.sent_bytes > len(hub.files[KEY]), "the bytes of before are not kept"


def test_bytes_of_two_versions_are_not_joined_in_a_later_pull_either(hub: Hub) -> None:
    hub.faults = ["drop:500000", *["status:500"] * 20]
    with pytest.raises(DownloadFailed):
        get()
    hub.faults, hub.sent_bytes = ["etag:other"], 0
    assert get()
    assert hub.sent_bytes >= len(hub.files[KEY])


def test_a_part_of_an_older_minireason_goes_on(hub: Hub) -> None:
    hub.faults = ["drop:500000", *["status:500"] * 20]
    with pytest.raises(DownloadFailed):
        get()
    (tag,) = paths.models_dir().rglob("*.etag")
    tag.unlink()  # it kept none
    hub.faults, hub.sent_bytes = [], 0
    assert get()
    assert hub.sent_bytes < len(hub.files[KEY]) - 400_000


@pytest.mark.parametrize("total", [1_000_000, 2_000_000_000])
def test_another_length_than_was_said_is_another_file(hub: Hub, total: int) -> None:
    hub.faults = ["drop:500000", *[f"total:{total}"] * 10]
    with pytest.raises(DownloadFailed, match="bytes than it said: the file changed"):
        get()
    assert nothing_installed()


def test_a_server_that_never_goes_on_is_given_up(hub: Hub) -> None:
    hub.faults, hub.always = ["drop:500000"], "start:7"
    with pytest.raises(DownloadFailed, match="does not go on where it broke off"):
        resumed(hub, *["start:7", "drop:500000"] * 20)
    assert len(hub.requests) < 40


def test_a_byte_a_request_ends_with_a_sentence(hub: Hub) -> None:
    hub.always = "byte"
    with pytest.raises(DownloadFailed, match="breaks off after a few bytes each time"):
        get()
    gets = [request for request in hub.requests if request.startswith("GET /cdn")]
    assert len(gets) <= download.MOST_SHORT_TRIES + 1
    (part,) = paths.models_dir().rglob("*.part")
    assert part.stat().st_size == len(gets), "what came is kept"


@pytest.mark.parametrize("wait", ["²", "-5", "1e400", "9" * 400, "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_pause_that_is_no_number_of_seconds(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, wait: str
) -> None:
    monkeypatch.setattr(download, "LONGEST_WAIT_S", 0.0)
    hub.faults, hub.retry_after = ["status:503"], wait
    assert get()


@pytest.mark.parametrize(
    "location",
    ["http://[::1", "http://\x00/", "http://a b c/", "https://" + "x" * 300, "²://", ":"],
)
def test_a_redirect_to_nowhere_is_one_sentence(hub: Hub, location: str) -> None:
    hub.location = location
    with pytest.raises((DownloadFailed, Offline)) as caught:
        get()
    assert "some/repo/small.gguf" in str(caught.value)
    assert nothing_installed()


@pytest.mark.parametrize("size", ["²", "-1", "0", "1" * 30, "many"])
def test_a_length_that_is_none_is_one_sentence(hub: Hub, size: str) -> None:
    hub.size = size
    with pytest.raises(DownloadFailed):
        get()
    assert nothing_installed()


def test_where_nothing_vouches_for_the_bytes_it_is_said_and_they_are_read_again(hub: Hub) -> None:
    hub.etag = "a tag that is no hash"
    steps: list[str] = []
    spec, quant = pinned()
    manifest = pull.pull(spec, quant, open_once=lambda path: None, watch=Watch(step=steps.append))
    assert manifest
    assert not manifest.vouched
    assert not store.manifests()[0].vouched, "and that is kept"
    assert any("no hash is published" in step for step in steps)
    assert manifest.files[0].sha256 == hashlib.sha256(hub.files[KEY]).hexdigest()


def test_what_the_disk_made_of_unvouched_bytes_is_compared(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.etag = "a tag that is no hash"

    def spoil(what: str) -> None:
        if "no hash" in what:
            (part,) = paths.models_dir().rglob("*.part")
            data = bytearray(part.read_bytes())
            data[1000] ^= 1
            part.write_bytes(data)

    with pytest.raises(ChecksumMismatch):
        pull.pull(*pinned(), open_once=lambda path: None, watch=Watch(step=spoil))
    assert nothing_installed()


def test_vouched_bytes_are_not_read_twice(hub: Hub) -> None:
    steps: list[str] = []
    manifest = pull.pull(*pinned(), open_once=lambda path: None, watch=Watch(step=steps.append))
    assert manifest
    assert manifest.vouched
    assert not any("no hash" in step for step in steps)


def test_a_name_of_255_characters_is_fetched_and_found(hub: Hub) -> None:
    name = f"{'x' * 250}.gguf"
    hub.files[f"some/repo/{name}"] = hub.files[KEY]
    spec = from_hub(f"hf:some/repo/{name}")
    quant = spec.quants["file"]
    manifest = pull.pull(spec, quant, open_once=lambda path: None, watch=Watch())
    assert manifest
    assert store.find(spec.name).path == manifest.path
    assert store.remove(spec.name)[0] == spec.name
    assert store.manifests() == []


def pinned() -> tuple[ModelSpec, Quant]:
    """A model that nothing is published of but its name."""
    spec = from_hub("hf:some/repo/small.gguf")
    return spec, spec.quants["file"]


def test_a_data_directory_that_cannot_be_written(hub: Hub, tmp_path: Path) -> None:
    incoming = paths.models_dir() / ".incoming"
    incoming.parent.mkdir(parents=True)
    incoming.write_text("a file is in the way")
    with pytest.raises(StoreError, match="MINIREASON_HOME"):
        get()
    incoming.unlink()
    incoming.mkdir()
    for path in (incoming / name for name in lock_names()):
        path.mkdir()
    with pytest.raises(StoreError, match="MINIREASON_HOME"):
        get()


def lock_names() -> list[str]:
    """The names of the locks that a pull takes, as one leaves them."""
    assert get()
    names = [path.name for path in (paths.models_dir() / ".incoming").glob("*.lock")]
    for path in (paths.models_dir() / ".incoming").glob("*.lock"):
        path.unlink()
    store.remove("small")
    return names
