"""Models from Python: what there is, and getting one from a loopback Hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import minireason
from minireason import DoesNotFit, Offline, PullProgress, UnknownModel, UsageError
from minireason.host import paths
from minireason.models.pull import Watch, import_file
from tests.models.hub import Hub, used

ENTRY = (
    '[small]\nlicence = "MIT"\n[small.quants.Q8_0]\nrepo = "some/repo"\nfiles = ["small.gguf"]\n'
)
HUGE = """
[huge]
context = 131072
shape = { arch = "llama", layers = 80, heads = 64, kv_heads = 8, head_dim = 128, hidden = 8192, \
feed_forward = 28672, vocab = 128256 }
[huge.quants.Q8_0]
repo = "some/repo"
files = ["small.gguf"]
bytes = 4_000_000_000_000
"""


@pytest.fixture
def hub(tiny_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    server = Hub({"some/repo/small.gguf": tiny_path.read_bytes()})
    used(server, monkeypatch)
    paths.config_dir().mkdir(parents=True, exist_ok=True)
    (paths.config_dir() / "models.toml").write_text(ENTRY + HUGE)
    yield server
    server.close()


def test_pull_and_load(hub: Hub, tiny_path: Path) -> None:
    told: list[PullProgress] = []
    info = minireason.pull("small", on_progress=told.append)
    assert (info.name, info.installed, info.licence) == ("small:Q8_0", True, "MIT")
    assert (info.bytes, info.verdict) == (tiny_path.stat().st_size, "fits")
    fetched = [progress for progress in told if progress.step == "fetching small.gguf"]
    assert fetched[0].done_bytes == 0
    assert fetched[-1] == PullProgress("fetching small.gguf", info.bytes, info.bytes)
    assert told[-1].step == "checking the model"
    asked = len(hub.requests)
    assert minireason.pull("small:q8_0").path == info.path
    assert minireason.pull("tiny").installed
    assert len(hub.requests) == asked, "what is there is not asked for again"
    with minireason.load(info.name, n_threads=1) as reasoner:
        assert reasoner.ask("What is 5 + 8?", temperature=0).boxed == "13"


def test_nothing_is_fetched_of_what_does_not_fit(hub: Hub) -> None:
    with pytest.raises(DoesNotFit, match="fits"):
        minireason.pull("huge")
    assert hub.requests == []
    assert minireason.pull("huge", check_fit=False).installed


def test_a_file_of_the_hub_by_its_address(hub: Hub) -> None:
    info = minireason.pull("hf:some/repo/small.gguf")
    assert (info.name, info.verdict) == ("hf:some/repo/small.gguf", "fits")
    assert minireason.pull(info.name).path == info.path


def test_pulls_that_cannot_be_done_are_errors_of_the_tree(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnknownModel, match="did you mean small"):
        minireason.pull("smal")
    with pytest.raises(UsageError):
        minireason.pull(Path("small.gguf"))
    monkeypatch.setenv("MINIREASON_OFFLINE", "1")
    with pytest.raises(Offline):
        minireason.pull("small")


def test_the_list_has_the_catalogue_and_what_was_imported(hub: Hub, tiny_path: Path) -> None:
    import_file(tiny_path, "mine", lambda _path: None, Watch())
    infos = {info.name: info for info in minireason.list_models()}
    assert (infos["tiny"].verdict, infos["tiny"].installed) == ("fits", True)
    big = infos["r1-7b:Q4_K_M"]
    assert (big.installed, big.path, big.scores["aime24"]) == (False, None, 55.5)
    assert big.needed_bytes
    assert big.needed_bytes > big.bytes
    assert (infos["huge:Q8_0"].verdict, infos["huge:Q8_0"].n_ctx) == ("too big", None)
    assert infos["small:Q8_0"].verdict == "unknown"
    mine = infos["mine"]
    assert (mine.path, mine.verdict, mine.n_ctx) == (tiny_path, "fits", 4096)
    assert "r1-7b:Q8_0" not in infos
    minireason.pull("small")
    every = {info.name: info for info in minireason.list_models(every_quant=True)}
    assert every["small:Q8_0"].installed
    assert set(infos) < set(every)
    assert "r1-7b:Q8_0" in every
