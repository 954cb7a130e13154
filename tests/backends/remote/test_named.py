"""remotes.toml: names of servers, and what is wrong with an entry, by its line."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import minireason
from minireason.backends.remote.named import Target, find, own_path
from minireason.errors import BadCatalog, UsageError
from tests.backends.remote.misbehaving import Misbehaving, chunk, reply

Make = Callable[..., Misbehaving]
URL = "http://gpu.example:8000/v1"


@pytest.fixture
def folder() -> Path:
    """The configuration directory."""
    path = Path(os.environ["MINIREASON_HOME"])
    assert own_path() == path / "remotes.toml"
    return path


def write(text: str) -> None:
    own_path().write_text(text, "utf-8")


def test_a_url_is_itself_whatever_the_file_says() -> None:
    write("broken")
    assert find(URL) == Target(URL)


def test_an_entry_with_all_its_fields(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        f'[gpu]\nurl = "{URL}"\nmodel = "r1"\nflavour = "vllm"\napi_key_env = "GPU_KEY"\n'
        f'[file]\nurl = "{URL}"\napi_key_file = "gpu.key"\n[bare]\nurl = "{URL}"\n'
    )
    monkeypatch.setenv("GPU_KEY", "sk-1")
    (folder / "gpu.key").write_text("sk-2\n")
    (folder / "other.key").write_text("sk-3\n")
    assert find("gpu") == Target(URL, "r1", "sk-1", "vllm")
    assert "sk-1" not in repr(find("gpu"))
    assert find("file") == Target(URL, key="sk-2")
    assert find("bare") == Target(URL)
    monkeypatch.delenv("GPU_KEY")
    assert find("gpu", str(folder / "other.key")).key == "sk-3"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ('model = "r1"', "line 1: gpu.url is missing"),
        ("url = 7", "line 2: gpu.url has to be text in quotes"),
        ('url = "gpu:8000"', "line 2: gpu.url has to be a URL such as"),
        (f'url = "{URL}"\nflavour = "x"', "line 3: gpu.flavour has to be one of auto, "),
        (f'url = "{URL}"\nmodle = "x"', "line 3: gpu.modle is no field of a server"),
        (f'url = "{URL}"\napi_key = "sk-9"', "line 3: gpu.api_key does not belong in this file"),
        (f'url = "{URL}"\napi_key_env = "SK-9"', "line 3: gpu.api_key_env names an environment"),
        (f'url = "{URL}"\napi_key_file = "sk-9"', "line 3: gpu.api_key_file has to be the path"),
        (
            f'url = "{URL}"\napi_key_file = "a"\napi_key_env = "b"',
            "line 4: gpu.api_key_env stands beside api_key_file",
        ),
    ],
)
def test_what_is_wrong_with_an_entry(lines: str, told: str) -> None:
    write(f'[gpu]\n{lines}\n\n[other]\nurl = "{URL}"\n')
    with pytest.raises(BadCatalog) as error:
        find("gpu")
    assert told in str(error.value)
    assert "sk-9" not in str(error.value).lower()
    assert find("other") == Target(URL), "a broken entry costs no other"


def test_a_name_that_is_none() -> None:
    with pytest.raises(UsageError, match=r"'gpu' is no URL .* names no server"):
        find("gpu")
    write(f'[one]\nurl = "{URL}"\n[two]\nurl = "{URL}"\n')
    with pytest.raises(UsageError, match=r"names one, two\."):
        find("gpu")
    with pytest.raises(UsageError) as error:
        find("sk-1@host")
    assert "sk-1" not in str(error.value)


@pytest.mark.parametrize("text", ["gpu", "[gpu", "gpu = 3"])
def test_a_file_that_is_none(text: str) -> None:
    write(text)
    with pytest.raises(BadCatalog, match=r"remotes\.toml"):
        find("gpu")


def test_python_connects_to_a_name_too(misbehaving: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    server = misbehaving(*[reply(chunk(content="Yes."))] * 3)
    write(f'[gpu]\nurl = "{server.url}"\nmodel = "m"\napi_key_env = "GPU_KEY"\n')
    monkeypatch.setenv("GPU_KEY", "sk-1")
    with minireason.connect("gpu", defaults={"temperature": 0.25}) as reasoner:
        assert reasoner.ask("?").answer == "Yes."
        reasoner.ask("?", temperature=0.5)
    assert set(server.keys) == {"Bearer sk-1"}
    assert [body["temperature"] for body in server.bodies] == [0.25, 0.5]
    monkeypatch.delenv("GPU_KEY")
    with minireason.connect("gpu", api_key="sk-2") as reasoner:
        reasoner.ask("?")
    assert server.keys[-1] == "Bearer sk-2"


def test_python_refuses_a_name_that_is_none() -> None:
    with pytest.raises(UsageError, match="no URL of a server"):
        minireason.connect("gpu")
    with pytest.raises(UsageError, match="A URL is text"):
        minireason.connect(8000)  # type: ignore[arg-type]
    with pytest.raises(minireason.BadSetting, match="temperature"):
        minireason.connect(URL, defaults={"temperature": -1})
