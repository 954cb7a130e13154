"""A batch on a Ray cluster whose workers ask a server."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import minireason as package
from minireason.backends.concurrency import LOOKED_AT
from minireason.batch import jobs, lines
from minireason.batch.local import Answered
from minireason.batch.share import Bounds, Node, share, spread
from minireason.batch.worker import Server, Wanted
from minireason.settings import Settings
from tests.backends.remote.conftest import misbehaving
from tests.backends.remote.misbehaving import Answer, Misbehaving, chunk, refused, reply
from tests.cli.run import Result, assert_one_sentence, minireason
from tests.server.conftest import server, tiny_url

ray = pytest.importorskip("ray", reason="Ray comes with the extra ray")
from minireason.batch import ray as on_ray  # noqa: E402

__all__ = ["misbehaving", "server", "tiny_url"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.usefixtures("nodes"),  # the cluster is joined
]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    asked = [{"id": f"q{n}", "question": f"What is {n} + {7 * n}?"} for n in range(1, 13)]
    path.write_text("".join(json.dumps(item) + "\n" for item in asked))
    return path


def batch(
    source: Path, out: Path, *options: str | Path, env: dict[str, str] | None = None
) -> Result:
    greedy = ("--temperature", "0")
    return minireason("batch", str(source), "-o", str(out), *greedy, *map(str, options), env=env)


def answers(path: Path) -> dict[str, str]:
    read = [json.loads(line) for line in path.read_text().splitlines()]
    assert len({line["id"] for line in read}) == len(read), "an id is there twice"
    return {line["id"]: line["reply"]["answer"] for line in read}


def on_machine(_worker: object) -> str:
    return str(ray.get_runtime_context().get_node_id())


def asking(url: str) -> Wanted:
    return Wanted("m", "", {}, Settings(), 2, 0, Server(url, None, f"m at {url}"))


def job(number: int, question: str) -> jobs.Job:
    settings = Settings(max_tokens=20)
    message = package.Message(role="user", content=question)
    return jobs.Job(jobs.Item(number, number, (message,), settings), 0, settings)


def test_it_is_the_run_without_ray(
    machines: Any, source: Path, tmp_path: Path, tiny_url: str
) -> None:
    alone, there, url = tmp_path / "alone.jsonl", tmp_path / "there.jsonl", f"{tiny_url}/v1"
    assert batch(source, alone, "--url", url).code == 0
    cluster = ("--url", url, "--ray", machines.address)
    result = batch(source, there, *cluster)
    assert result.code == 0, result
    assert answers(there) == answers(alone)
    for path, options in ((there, cluster[:2]), (alone, (*cluster, "--actors", "2"))):
        kept = path.read_text().splitlines(keepends=True)[:5]
        path.write_text("".join(kept))
        assert batch(source, path, *options).code == 0, "either goes on with the other"
        assert path.read_text().startswith("".join(kept))
    assert answers(there) == answers(alone)


def test_a_worker_has_the_key_of_its_own_machine(
    machines: Any,
    source: Path,
    tmp_path: Path,
    misbehaving: Callable[..., Misbehaving],
) -> None:
    served = misbehaving(*[reply(chunk(content="Yes."))] * 12)
    out, key = tmp_path / "out.jsonl", tmp_path / "key"
    key.write_text("sk-secret")
    cluster = ("--url", served.url, "--ray", machines.address)
    result = batch(source, out, *cluster, "--api-key-file", key)
    assert result.code == 0, result
    assert set(served.keys) == {"Bearer sk-secret"}


def test_the_environment_of_the_command_does_not_travel(
    machines: Any,
    source: Path,
    tmp_path: Path,
    misbehaving: Callable[..., Misbehaving],
) -> None:
    served = misbehaving(*[reply(chunk(content="Yes."))] * 12)
    cluster = ("--url", served.url, "--ray", machines.address)
    out = tmp_path / "out.jsonl"
    assert batch(source, out, *cluster, env={"MINIREASON_API_KEY": "sk-1"}).code == 0
    here, workers = set(served.keys[:1]), set(served.keys[-12:])
    assert (here, workers) == ({"Bearer sk-1"}, {None})


def test_a_server_that_fails_ends_the_run_and_the_same_command_goes_on(
    machines: Any,
    source: Path,
    tmp_path: Path,
    misbehaving: Callable[..., Misbehaving],
) -> None:
    fails = [True]

    def answer(body: dict[str, Any]) -> Answer:
        question = body["messages"][-1]["content"]
        if question == "What is 4 + 28?" and fails[0]:
            return refused(503, "no room", Retry_After="0")
        return reply(chunk(content=question))

    served, out = misbehaving(*[answer] * 60), tmp_path / "out.jsonl"
    options = ("--url", served.url, "--ray", machines.address, "--parallel", "1", "--in-order")
    stopped = batch(source, out, *options)
    assert stopped.code == 6, stopped
    kept = answers(out)  # what a worker has said in the meantime is asked for again
    counted = f"{len(kept)} repl{'y' if len(kept) == 1 else 'ies'}"
    assert f"Stopped with {counted} in {out}; the same command goes on." in stopped.err
    assert "On the worker " in stopped.err
    assert "cannot answer now (status 503: no room)" in stopped.err
    assert kept.keys() <= {"q1", "q2", "q3"}
    fails.clear()
    fails.append(False)
    assert batch(source, out, *options).code == 0
    assert len(answers(out)) == 12


def test_a_line_that_the_server_refuses_is_left_out(
    machines: Any,
    source: Path,
    tmp_path: Path,
    misbehaving: Callable[..., Misbehaving],
) -> None:
    def answer(body: dict[str, Any]) -> Answer:
        is_refused = body["messages"][-1]["content"] == "What is 4 + 28?"
        return refused(400, "not this one") if is_refused else reply(chunk(content="Yes."))

    served, out = misbehaving(*[answer] * 12), tmp_path / "out.jsonl"
    result = batch(source, out, "--url", served.url, "--ray", machines.address)
    assert result.code == 7, result
    assert "Line 4 of in.jsonl is left out: " in result.err
    assert len(answers(out)) == 11


def test_where_every_line_is_refused_the_run_ends(
    machines: Any, tmp_path: Path, misbehaving: Callable[..., Misbehaving]
) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(f'{{"question": "What is {n}?"}}\n' for n in range(500)))
    served = misbehaving(*[lambda _body: refused(400, "No models loaded")] * 600)
    stopped = batch(source, out, "--url", served.url, "--ray", machines.address)
    assert_one_sentence(stopped, 2, "Every question is refused (127.0.0.1:")
    assert "No models loaded); mend that, and run the same command again." in stopped.err
    assert out.read_bytes() == b""
    assert len(served.bodies) < 300


def test_a_name_that_means_another_server_there(
    machines: Any, source: Path, tmp_path: Path, tiny_url: str, lived_in: Path
) -> None:
    entry = f'[gpu]\nurl = "{tiny_url}/v1"\n'
    here = tmp_path / "home"
    here.mkdir()
    (here / "remotes.toml").write_text(entry)
    of_workers = lived_in / "remotes.toml"
    options = ("--url", "gpu", "--ray", machines.address)
    env, out = {"MINIREASON_HOME": str(here)}, tmp_path / "out.jsonl"
    try:
        missing = batch(source, out, *options, env=env)
        assert missing.code == 2
        assert "On the worker " in missing.err
        assert "names no server" in missing.err
        of_workers.write_text(entry.replace("127.0.0.1", "localhost"))
        other = batch(source, out, *options, env=env)
        assert other.code == 2, other
        assert "give both machines the same entry" in other.err
        of_workers.write_text(entry)
        assert batch(source, out, *options, env=env).code == 0
    finally:
        of_workers.unlink(missing_ok=True)


def test_a_server_that_is_none(machines: Any, source: Path, tmp_path: Path) -> None:
    url, out = "http://127.0.0.1:1/v1", tmp_path / "out.jsonl"
    result = batch(source, out, "--url", url, "--ray", machines.address)
    assert_one_sentence(result, 6, "cannot be reached")
    assert not out.exists()


def test_one_worker_a_machine(
    nodes: list[Node], machines: Any, tmp_path: Path, tiny_url: str
) -> None:
    greedy = Settings(temperature=0, max_tokens=200)
    item = jobs.read_item(lines.Line(1, b'{"question": "2 + 2?"}'), jobs.Defaults(greedy, None, 1))
    url, second = f"{tiny_url}/v1", machines.add_node(num_cpus=1, resources={"second": 1})
    try:
        known = ray.remote(resources={"second": 1})(lambda: True)
        assert ray.get(known.remote()), "Ray has heard of it everywhere"
        there = [*nodes, Node(1, 0, second.node_id), Node(0, 0, "head")]
        wanted = Wanted("tiny", "", {}, greedy, 2, 0, Server(url, None, f"tiny at {url}"))
        runner = on_ray.Runner(wanted, spread(there, None))
        at_work = set()
        for result in runner.results(jobs.Job(item, number, greedy) for number in range(8)):
            if isinstance(result, Answered):
                continue
            calls = [handle.__ray_call__.remote(on_machine) for handle in runner.handles]
            at_work |= set(ray.get(calls))
        assert at_work == {nodes[0].id, second.node_id}
    finally:
        machines.remove_node(second)


def test_idle_workers_are_given_back_and_those_without_room_too(
    nodes: list[Node], misbehaving: Callable[..., Misbehaving]
) -> None:
    alone = threading.Event()

    def answer(body: dict[str, Any]) -> Answer:
        if body["messages"][-1]["content"] == "the last":
            assert alone.wait(120)
        return reply(chunk(content="Yes."))

    served = misbehaving(*[answer] * 40)
    runner = on_ray.Runner(asking(served.url), share(nodes, 2**20, 1, Bounds(1, 4), 1))
    count = 0
    for result in runner.results(iter([*(job(n, "?") for n in range(30)), job(30, "the last")])):
        count += isinstance(result, Answered)
        if len(runner.handles) == 1:
            alone.set()
    assert runner.finished
    assert count == 31
    assert alone.is_set()


def test_workers_join_as_the_cluster_grows(
    nodes: list[Node], machines: Any, misbehaving: Callable[..., Misbehaving]
) -> None:
    grown = []

    def todo() -> Iterator[jobs.Job]:
        """Questions until a worker is on the machine that was added."""
        for number in range(2_000):
            if number == LOOKED_AT + 10:
                grown.append(machines.add_node(num_cpus=1))
                calls = [handle.__ray_call__.remote(on_machine) for handle in runner.handles]
            if grown and grown[0].node_id in ray.get(ray.wait(calls, num_returns=4, timeout=0)[0]):
                return
            yield job(number, "?")
            time.sleep(0.05)
        raise AssertionError(f"none came, but {runner.handles} are there")

    served = misbehaving(*[reply(chunk(content="Yes."))] * 2_000)
    each = share(nodes, 2**20, 1, Bounds(1, 4), 1)
    assert (each.actors, each.further) == (2, 2)
    runner = on_ray.Runner(asking(served.url), each)
    try:
        for _ in runner.results(todo()):
            pass
    finally:
        for machine in grown:
            machines.remove_node(machine)
    assert runner.finished
