"""models --url and doctor --url, over servers that answer as a test wrote it, and over ours."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minireason.testing import ScriptedBackend
from tests.backends.remote.misbehaving import Misbehaving, models, page
from tests.cli.run import Result, assert_one_sentence, minireason
from tests.server.conftest import served, server, tiny_url
from tests.server.serving import Served

__all__ = ["served", "server", "tiny_url"]

Serve = Callable[..., Served]
Make = Callable[..., Misbehaving]


@pytest.fixture
def made() -> Iterator[Make]:
    """Makes a server with these pages."""
    servers: list[Misbehaving] = []

    def make(**pages: Any) -> Misbehaving:
        servers.append(Misbehaving(pages={f"/{name}": body for name, body in pages.items()}))
        return servers[-1]

    yield make
    for one in servers:
        one.stop()


def listing(*entries: dict[str, Any]) -> Any:
    """A list of models of these entries."""
    return page({"object": "list", "data": list(entries)})


def found(result: Result) -> dict[str, list[str]]:
    """What doctor --json says, by what it is about."""
    told: dict[str, list[str]] = {}
    for finding in json.loads(result.out):
        told.setdefault(finding["what"], []).append(finding["found"])
    return told


def gone(server: Misbehaving) -> str:
    """The URL of a server that has ended."""
    server.stop()
    return server.url


def test_models_of_our_own_server(tiny_url: str) -> None:
    result = minireason("models", "--url", f"{tiny_url}/v1")
    assert (result.code, result.err) == (0, "")
    lines = [line.split("\t") for line in result.out.splitlines()]
    assert lines[0] == ["model", "context", "thinks", "loaded", "owner"]
    assert lines[1] == ["tiny", "4,096", "yes", "yes", "minireason"]


def test_of_each_model_what_its_server_tells(made: Make) -> None:
    meta = {"n_ctx_train": 8192, "n_params": 1_777_000_000, "size": 1_890_000_000}
    odd = {"max_model_len": True, "meta": [7], "minireason": {"thinks": "no"}, "owned_by": 7}
    url = made(
        **{
            "v1/models": listing(
                {"id": "org/one", "owned_by": "vllm", "max_model_len": 40_960},
                {"id": "two", "meta": meta},
                {"id": "three\x1b", "owned_by": "x"},
                {"id": "lines", "owned_by": "x\nsmall\t1"},
                {"id": "small", "meta": {"n_params": 1_052_800, "size": 1_126_496}},
                {"id": "four", **odd},
            )
        }
    ).url
    assert minireason("models", "--url", url).out == (
        "model\tcontext\tparams\tGB\towner\n"
        "org/one\t40,960\t\t\tvllm\n"
        "two\t8,192\t1.8B\t1.9\t\n"
        "lines\t\t\t\t\n"
        "small\t\t1M\t0.001\t\n"
        "four\t\t\t\t\n"
    )
    told = json.loads(minireason("models", "--url", url, "--json").out)
    assert [model["model"] for model in told] == ["org/one", "two", "lines", "small", "four"]
    assert told[1] == {
        "model": "two",
        "n_ctx": 8192,
        "thinks": None,
        "loaded": None,
        "params": 1_777_000_000,
        "bytes": 1_890_000_000,
        "owner": "",
    }


def test_models_where_there_is_no_server(made: Make, served: Serve, tmp_path: Path) -> None:
    locked = f"{served(ScriptedBackend('Yes.'), api_keys=('sk-1',)).url}v1"
    no_list = made(**{"v1/models": page({"data": 7})}).url
    key = tmp_path / "key"
    key.write_text("sk-2")
    for url, options, code, told in (
        (gone(made()), (), 6, "cannot be reached"),
        (locked, (), 6, "wants an API key"),
        (locked, ("--api-key-file", str(key)), 6, "does not accept the API key"),
        (no_list, (), 6, "lists no models"),
        (no_list, ("--all",), 2, "--all is for models of this machine"),
        ("nowhere", (), 2, "no URL of a server"),
        ("http://", (), 2, "no URL of a server"),
    ):
        result = minireason("models", "--url", url, *options)
        assert_one_sentence(result, code, told)
        assert "sk-2" not in result.err
    assert_one_sentence(minireason("models", "--api-key-file", str(key)), 2, "give that too")


def test_the_doctor_of_our_own_server(tiny_url: str) -> None:
    result = minireason("doctor", "--url", f"{tiny_url}/v1", "--json")
    assert result.code == 0
    told = found(result)
    assert told["server"][0].startswith(f"{tiny_url}/v1 answers in ")
    assert told["kind"] == ['minireason, by the owner of its models, "minireason"']
    assert told["API key"] == ["none"]
    assert told["model"] == ["tiny, 4,096 tokens of context, thinks"]
    assert told["thinking_budget"][0].startswith("field: ")
    assert told["landing"] == ["no: refused"]
    assert "  kind             minireason" in minireason("doctor", "--url", tiny_url).out


@pytest.mark.parametrize(
    ("pages", "kind"),
    [
        ({"props": page({"default_generation_settings": {}})}, "llama-server, by its answer to /p"),
        ({"version": page({"version": "0.16"})}, "vllm, by its answer to /version"),
        ({"v1/models": models("m", owner="library")}, 'ollama, by the owner of its models, "libra'),
        ({}, "plain, as nothing tells of another"),
    ],
)
def test_how_a_kind_is_known(made: Make, pages: dict[str, Any], kind: str) -> None:
    told = found(minireason("doctor", "--url", made(**pages).url, "--json"))
    assert told["kind"][0].startswith(kind)
    assert told["model"] == ["m, context not told, 131,072 tokens are taken for it"]


def test_a_name_of_remotes_toml(made: Make) -> None:
    many = made(**{"v1/models": models(*(f"m{number}" for number in range(11)))})
    (Path(os.environ["MINIREASON_HOME"]) / "remotes.toml").write_text(
        f'[gpu]\nurl = "{many.url}"\nmodel = "m10"\nflavour = "sglang"\napi_key_env = "GPU_KEY"\n'
        f'[lost]\nurl = "{many.url}"\nmodel = "gone"\n'
    )
    result = minireason("doctor", "--url", "gpu", "--json", env={"GPU_KEY": "sk-1"})
    told = found(result)
    assert result.code == 0
    assert told["kind"] == ["sglang, as it was named"]
    assert told["API key"] == ["sent with each request"]
    assert told["model"][-1] == "and 3 more; minireason models --url lists them"
    assert many.keys[-1] == "Bearer sk-1"
    assert "sk-1" not in result.out
    lost = minireason("doctor", "--url", "lost")
    assert lost.code == 1
    assert "! model            'gone' of remotes.toml is not there\n" in lost.out
    assert "m10" in minireason("models", "--url", "gpu", env={"GPU_KEY": "sk-1"}).out


def test_a_server_that_the_doctor_cannot_use(made: Make, served: Serve) -> None:
    locked = f"{served(ScriptedBackend('Yes.'), api_keys=('sk-1',)).url}v1"
    for url, told in (
        (gone(made()), "cannot be reached"),
        (locked, "does not accept the API key"),
        (made(**{"v1/models": page({})}).url, "lists no models"),
    ):
        result = minireason("doctor", "--url", url, env={"MINIREASON_API_KEY": "sk-2"})
        assert (result.code, result.err) == (1, "")
        first, second = result.out.splitlines()
        assert first == f"! server           {url} cannot be used"
        assert "-> " in second
        assert told in second
        assert "sk-2" not in result.out
    refused = minireason("doctor", "--url", locked, "--measure", "tiny")
    assert_one_sentence(refused, 2, "--measure is for a model of this machine")
