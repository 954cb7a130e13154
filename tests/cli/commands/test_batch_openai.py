"""minireason batch over files of OpenAI's batch API, as a user runs it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.cli.commands.test_batch import GREEDY, TINY, batch, over
from tests.cli.run import Running, assert_one_sentence, started
from tests.server.conftest import server, tiny_url

__all__ = ["server", "tiny_url"]


def body(number: int, **fields: object) -> dict[str, Any]:
    messages = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": f"What is {number} + 8?"},
    ]
    return {"model": "gpt-4o-mini", "messages": messages, "max_tokens": 1000, **fields}


def request(number: int, **fields: object) -> dict[str, Any]:
    """A line as OpenAI's documentation shows them."""
    return {
        "custom_id": f"request-{number}",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": body(number, **fields),
    }


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(tmp_path / "in.jsonl", [request(number) for number in range(1, 13)])


def write(path: Path, items: list[Any]) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    return path


def read(path: Path) -> dict[str, Any]:
    """The bodies by id, each of which is there once."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    by_id = {line["custom_id"]: line["response"]["body"] for line in lines}
    assert len(by_id) == len(lines), "an id is there twice"
    return by_id


def said(completion: dict[str, Any]) -> tuple[str, str, str]:
    (choice,) = completion["choices"]
    message = choice["message"]
    return message.get("reasoning_content", ""), message["content"], choice["finish_reason"]


def test_the_replies_are_what_the_server_gives_and_openais_package_reads_them(
    tmp_path: Path, tiny_url: str
) -> None:
    types = pytest.importorskip("openai.types.chat")
    asked = [
        request(1, seed=5, temperature=0),
        request(2, seed=5, max_tokens=9, temperature=0),
        request(3, seed=5, reasoning_effort="none", temperature=0),
        request(4, seed=5, temperature=0, reasoning_format="raw"),
        request(5, seed=5, temperature=0, guided_choice=["40", "41"]),
    ]
    source, out = write(tmp_path / "in.jsonl", asked), tmp_path / "out.jsonl"
    result = batch(source, "-o", out, "--in-order")
    assert (result.code, result.out) == (0, ""), result
    assert "in.jsonl asks for the model 'gpt-4o-mini'; tiny answers.\n" in result.err
    assert result.err.count("gpt-4o-mini") == 1
    assert f"5 replies in {out}; 1 of them cut off for want of tokens; " in result.err
    told = read(out)
    assert list(told) == [line["custom_id"] for line in asked]
    for line in asked:
        sent = {**line["body"], "model": "tiny"}
        served = httpx2.post(tiny_url + line["url"], json=sent, timeout=60).json()
        got = told[line["custom_id"]]
        types.ChatCompletion.model_validate(got, strict=True)
        assert got.keys() == served.keys()
        assert said(got) == said(served)
        for name in ("completion_tokens", "prompt_tokens", "completion_tokens_details"):
            assert got["usage"][name] == served["usage"][name]
        assert got["minireason"]["seed"] == 5
    run = json.loads(out.with_name("out.jsonl.run").read_text())["run"]
    assert run["form"] == "openai"


def logprobs(body: dict[str, Any]) -> list[Any]:
    """The tokens of a chat completion or of a response, the number itself last."""
    if "choices" in body:
        told = body["choices"][0]["logprobs"]["content"]
    else:
        told = body["output"][-1]["content"][0]["logprobs"]
    return [(one["token"], one["bytes"], len(one["top_logprobs"]), one["logprob"]) for one in told]


@pytest.mark.parametrize(
    "where", ["here", "server", pytest.param("cluster", marks=pytest.mark.slow)]
)
def test_logprobs_are_what_the_server_gives(tmp_path: Path, tiny_url: str, where: str) -> None:
    greedy = {"temperature": 0, "seed": 5}
    response = {"input": "What is 5 + 35?", "top_logprobs": 2, **greedy}
    asked = [
        request(1, logprobs=True, top_logprobs=3, **greedy),
        request(2, logprobs=True, **greedy),
        request(3, logprobs=True, max_tokens=9, **greedy),
        request(4, logprobs=True, stop="boxed", **greedy),
        {
            "custom_id": "request-5",
            "url": "/v1/responses",
            "body": {**response, "include": ["message.output_text.logprobs"]},
        },
        request(6, **greedy),
    ]
    source, out = write(tmp_path / "in.jsonl", asked), tmp_path / "out.jsonl"
    if where == "server":
        result = over(f"{tiny_url}/v1", source, "-o", out)
    else:
        options = ("--ray", "auto", "--actors", "1") if where == "cluster" else ()
        if options:
            pytest.importorskip("ray", reason="Ray comes with the extra ray")
        result = started("batch", str(source), "-o", str(out), "--model", "tiny", *options)
    assert result.code == 0, result
    told = read(out)
    for line in asked[:5]:
        sent = {**line["body"], "model": "tiny"}
        served = httpx2.post(tiny_url + line["url"], json=sent, timeout=60).json()
        got, theirs = logprobs(told[line["custom_id"]]), logprobs(served)
        assert got
        assert [one[:3] for one in got] == [one[:3] for one in theirs]
        assert [one[3] for one in got] == pytest.approx([one[3] for one in theirs], abs=1e-2)
    assert told["request-6"]["choices"][0]["logprobs"] is None


def test_broken_lines_are_named_and_the_same_command_goes_on(tmp_path: Path) -> None:
    asked = [
        request(1, model="tiny"),
        {"question": "What is 2 + 14?"},
        request(1),
        request(3, n=2),
        {**request(4), "url": "/v1/embeddings"},
        request(5, model=None),
        request(6, model=None, messages=[{"role": "user", "content": "1 + " * 1100}]),
    ]
    source, out = write(tmp_path / "in.jsonl", asked), tmp_path / "out.jsonl"
    options = (*GREEDY, "--ctx", "2048")
    result = batch(source, "-o", out, *options)
    assert result.code == 7, result
    for part in (
        "Line 2 of in.jsonl is left out: it has minireason's own form",
        "Line 3 of in.jsonl is left out: its id 'request-1' is that of an earlier line.",
        "Line 4 of in.jsonl is left out: n: a batch writes one reply for a line",
        "Line 5 of in.jsonl is left out: its url is '/v1/embeddings'",
        "Line 7 of in.jsonl is left out: The prompt has",
        "5 lines left out",
    ):
        assert part in result.err
    assert "asks for the model" not in result.err, "those that run name it, or none"
    assert sorted(read(out)) == ["request-1", "request-5"]
    kept = out.read_bytes()
    again = batch(source, "-o", out, *options)
    assert again.code == 7
    assert "2 of 7 replies are in" in again.err
    assert out.read_bytes() == kept


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_killed_and_gone_on_with_every_id_is_there_once(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", [request(number) for number in range(1, 41)])
    whole, torn = tmp_path / "whole.jsonl", tmp_path / "torn.jsonl"
    options = (*GREEDY, "--in-order", "--parallel", "2")
    assert batch(source, "-o", whole, *options).code == 0
    run = Running("batch", str(source), "-o", str(torn), *options, *TINY)
    while not torn.exists() or torn.read_bytes().count(b"\n") < 3:
        time.sleep(0.002)
        assert run.runs, "it was to be killed in the middle"
    run.kill()
    kept = torn.read_bytes()
    with torn.open("ab") as file:
        file.write(b'{"id": "batch_req_1", "custom_id": "request-40", "resp')
    resumed = batch(source, "-o", torn, *options)
    assert resumed.code == 0, resumed
    assert "of 40 replies are in" in resumed.err
    assert torn.read_bytes().startswith(kept[: kept.rindex(b"\n") + 1])
    assert list(read(torn)) == list(read(whole))
    answers = {name: said(told) for name, told in read(torn).items()}
    assert answers == {name: said(told) for name, told in read(whole).items()}


def test_over_a_server_the_replies_are_those_of_this_machine(
    source: Path, tmp_path: Path, tiny_url: str
) -> None:
    here, there = tmp_path / "here.jsonl", tmp_path / "there.jsonl"
    assert batch(source, "-o", here, *GREEDY).code == 0
    result = over(f"{tiny_url}/v1", source, "-o", there, *GREEDY)
    assert result.code == 0, result
    assert "asks for the model 'gpt-4o-mini'; tiny answers." in result.err
    told = {name: said(one) for name, one in read(there).items()}
    assert told == {name: said(one) for name, one in read(here).items()}


@pytest.mark.slow
def test_on_ray_the_replies_are_those_of_this_machine(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray comes with the extra ray")
    alone, cluster = tmp_path / "alone.jsonl", tmp_path / "cluster.jsonl"
    assert batch(source, "-o", alone, *GREEDY).code == 0
    options = ("--model", "tiny", *GREEDY, "--ray", "auto", "--actors", "1")
    result = started("batch", str(source), "-o", str(cluster), *options)
    assert result.code == 0, result
    told = {name: said(one) for name, one in read(cluster).items()}
    assert told == {name: said(one) for name, one in read(alone).items()}


def test_a_line_has_one_reply(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    refused = batch(source, "-o", out, "--samples", "3")
    assert_one_sentence(refused, 2, "there are no --samples; repeat the line with another")
    assert not out.exists()


def test_without_the_extra(source: Path, tmp_path: Path) -> None:
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "pydantic.py").write_text("raise ModuleNotFoundError('pydantic')")
    env = {"PYTHONPATH": str(tmp_path / "hidden")}
    out = tmp_path / "out.jsonl"
    refused = started("batch", str(source), "-o", str(out), *TINY, env=env)
    assert_one_sentence(refused, 2, "pip install 'minireason[schema]'")
    write(source, [{"question": "What is 5 + 8?"}])
    assert started("batch", str(source), "-o", str(out), *TINY, env=env).code == 0
