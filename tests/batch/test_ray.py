"""A batch on a Ray cluster of two workers, which are killed, and the command beside it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

import minireason as package
from minireason.backends.pool import Refused
from minireason.batch import cluster, head, jobs, lines, output
from minireason.batch.forms import OwnForm
from minireason.batch.local import Answered
from minireason.batch.share import Bounds, Node, Share, share
from minireason.batch.worker import Wanted
from minireason.errors import (
    EngineError,
    MinireasonError,
    ModelFileError,
    NotInstalled,
    ServerError,
    UsageError,
)
from minireason.models import store
from minireason.settings import Settings
from tests.cli.run import COMMAND, assert_one_sentence, minireason, started

ray = pytest.importorskip("ray", reason="Ray comes with the extra ray")
from minireason.batch import ray as on_ray  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
GREEDY = Settings(temperature=0, max_tokens=200)
RUN = output.Run("tiny", "", 1, None, {}, "")


def questions(path: Path, count: int) -> Path:
    items = [
        {"id": f"q{number}", "question": f"What is {number} + {7 * number}?"}
        for number in range(1, count + 1)
    ]
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    return path


def wanted(model: str = "tiny", sha256: str | None = None) -> Wanted:
    found = sha256 or store.fingerprint(store.find("tiny"))
    return Wanted(model, found, {"n_threads": 1, "n_gpu_layers": 0}, GREEDY, 4, 2**30)


def two(nodes: list[Node]) -> Share:
    return share(nodes, 2**28, 1, Bounds(2, 2), 1)


def run(source: Path, out: Path, runner: on_ray.Runner, kill_at: int = 0, stop_at: int = 0) -> int:
    """Write what is missing; kill a worker, or stop, after so many. How many came."""

    def broken(number: int, problem: MinireasonError) -> None:
        raise AssertionError(f"line {number}: {problem}")

    replies, came, killed = output.resume(out, RUN), 0, None
    defaults = jobs.Defaults(GREEDY, None, 1)
    todo = jobs.jobs(lines.read(source), defaults, replies.done, broken)
    with output.Writer(replies) as writer:
        for result in runner.results(todo):
            if result is None:
                continue
            assert isinstance(result, Answered)
            line = OwnForm().written(result, numbered=False)
            writer.write(line, result.reply.finish_reason)
            came += 1
            if came == kill_at:
                killed = runner.handles[0]
                call = killed.__ray_call__.remote(lambda _: os.getpid())
                os.kill(ray.get(call), signal.SIGKILL)
            if came == stop_at:
                break
    replies.done.close()
    assert killed is None or killed not in runner.handles, "another was started instead"
    return came


def answers(path: Path) -> dict[str, tuple[str, str]]:
    """The replies by id, each of which is there once."""
    read = [json.loads(line) for line in path.read_text().splitlines()]
    by_id = {line["id"]: (line["reply"]["thinking"], line["reply"]["answer"]) for line in read}
    assert len(by_id) == len(read), "an id is there twice"
    return by_id


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_a_worker_is_killed_and_every_reply_comes_once(nodes: list[Node], tmp_path: Path) -> None:
    source, out = questions(tmp_path / "in.jsonl", 60), tmp_path / "out.jsonl"
    runner = on_ray.Runner(wanted(), two(nodes))
    assert run(source, out, runner, kill_at=10) == 60
    assert runner.finished
    got = answers(out)
    with package.load("tiny", n_threads=1) as reasoner:
        for line in source.read_text().splitlines():
            item = json.loads(line)
            reply = reasoner.ask(item["question"], temperature=0, max_tokens=200)
            assert got[item["id"]] == (reply.thinking, reply.answer)


@pytest.mark.slow
def test_it_goes_on_and_keeps_the_order(nodes: list[Node], tmp_path: Path) -> None:
    source, out = questions(tmp_path / "in.jsonl", 40), tmp_path / "out.jsonl"
    first = on_ray.Runner(wanted(), two(nodes), in_order=True)
    assert run(source, out, first, stop_at=15) == 15
    assert not first.finished
    assert run(source, out, on_ray.Runner(wanted(), two(nodes), in_order=True)) == 25
    assert list(answers(out)) == [f"q{number}" for number in range(1, 41)]


@pytest.mark.slow
def test_a_line_that_cannot_be_asked_is_left_out(nodes: list[Node]) -> None:
    item = jobs.read_item(lines.Line(1, b'{"question": "2 + 2?"}'), jobs.Defaults(GREEDY, None, 1))
    long = jobs.Item(2, 2, (package.Message(role="user", content="1 + " * 90_000),), GREEDY)
    todo = [jobs.Job(each, 0, GREEDY) for each in (long, item)]
    came = [each for each in on_ray.Runner(wanted(), two(nodes)).results(iter(todo)) if each]
    refused = [each.job.item.number for each in came if isinstance(each, Refused)]
    assert refused == [2]
    assert len(came) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "sha256", "kind", "said"),
    [
        ("/nowhere/model.gguf", None, NotInstalled, "There is no file /nowhere/model.gguf"),
        ("tiny", "0" * 64, ModelFileError, "not the file that the run began with"),
    ],
)
def test_a_worker_without_the_model(
    nodes: list[Node], model: str, sha256: str | None, kind: type[Exception], said: str
) -> None:
    runner = on_ray.Runner(wanted(model, sha256), two(nodes))
    with pytest.raises(kind, match=f"^On the worker .*{said}"):
        list(runner.results(iter(())))


@pytest.mark.slow
@pytest.mark.parametrize("part", [0.5, 1.0])
def test_each_worker_has_the_part_of_a_gpu_that_it_asks_for(
    nodes: list[Node], tmp_path: Path, part: float
) -> None:
    """Of GPUs that Ray counts; the workers compute on the CPU."""
    each = share(nodes, 2**28, 1, Bounds(2, 2), 1, part)
    runner = on_ray.Runner(wanted(), each)
    source = questions(tmp_path / "in.jsonl", 20)
    defaults = jobs.Defaults(GREEDY, None, 1)
    todo = [jobs.Job(jobs.read_item(line, defaults), 0, GREEDY) for line in lines.read(source)]
    with closing(runner.results(iter(todo))) as results:
        assert isinstance(next(result for result in results if result), Answered)
        told = ray.get(
            [
                handle.__ray_call__.remote(
                    lambda _: (
                        ray.get_runtime_context().get_assigned_resources()["GPU"],
                        os.environ["CUDA_VISIBLE_DEVICES"],
                    )
                )
                for handle in runner.handles
            ]
        )
    assert [given for given, _ in told] == [part, part]
    visible = [ids for _, ids in told]
    assert set(visible) <= {"0", "1"}, "each sees the one that it has a part of"
    assert part < 1 or visible[0] != visible[1], "a whole one is a worker's alone"


@pytest.mark.slow
def test_a_machine_whose_llama_cpp_finds_no_gpu(nodes: list[Node]) -> None:
    said = "^On the worker .*: This llama.cpp finds no GPU that it was built for; leave --gpu"
    with pytest.raises(UsageError, match=said):
        cluster.seen(nodes)
    load = {"n_threads": 1, "n_gpu_layers": -1}
    runner = on_ray.Runner(replace(wanted(), load=load, gpus=0.5), two(nodes))
    with pytest.raises(UsageError, match=said):
        list(runner.results(iter(())))


@pytest.mark.slow
def test_a_look_at_gpus_that_are_not_there_or_busy(nodes: list[Node]) -> None:
    with pytest.raises(UsageError, match="has a GPU that Ray counts; leave --gpu-layers out"):
        cluster.seen([replace(node, gpus=0) for node in nodes])

    class Busy:
        def begun(self) -> bool:
            return True

    busy = ray.remote(num_gpus=2)(Busy).remote()
    assert ray.get(busy.begun.remote())
    with pytest.raises(EngineError, match="No GPU of the cluster was free for 1 s; try again"):
        cluster.seen(nodes, within_s=1)
    ray.kill(busy)


@pytest.mark.slow
def test_the_command_on_gpus_that_llama_cpp_does_not_find(
    nodes: list[Node], tmp_path: Path
) -> None:
    source, out = questions(tmp_path / "in.jsonl", 1), tmp_path / "out.jsonl"
    options = ("--ray", ray.get_runtime_context().gcs_address, "--gpu-layers", "99")
    result = minireason("batch", str(source), "-o", str(out), "--model", "tiny", *options)
    assert_one_sentence(result, 2, "finds no GPU that it was built for; leave --gpu-layers out")


@pytest.mark.slow
def test_a_cluster_of_another_version(nodes: list[Node], tmp_path: Path) -> None:
    address = ray.get_runtime_context().gcs_address
    script = (
        "import ray, sys; ray.__version__ = '2.1.0'\n"
        "from minireason.batch.cluster import joined\n"
        "from minireason.errors import ServerError\n"
        "try:\n"
        f"    joined({address!r}).__enter__()\n"
        "except ServerError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    said = done.stdout.strip()
    assert said.startswith(f"The cluster at {address} has another version of Ray or Python")
    assert len(said.splitlines()) == 1


@pytest.mark.slow
def test_the_command_on_ray_and_without_it(nodes: list[Node], tmp_path: Path) -> None:
    source = questions(tmp_path / "in.jsonl", 20)
    alone, there = tmp_path / "alone.jsonl", tmp_path / "there.jsonl"
    greedy = ("--model", "tiny", "--temperature", "0")
    assert minireason("batch", str(source), "-o", str(alone), *greedy).code == 0
    options = ("--ray", ray.get_runtime_context().gcs_address, "--actors", "2")
    result = minireason("batch", str(source), "-o", str(there), *greedy, *options)
    assert result.code == 0, result
    assert answers(there) == answers(alone)
    text = there.read_text().splitlines(keepends=True)
    there.write_text("".join(text[:12]))
    resumed = minireason("batch", str(source), "-o", str(there), *greedy)
    assert resumed.code == 0, "a run on Ray goes on without it"
    assert answers(there) == answers(alone)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="workers are looked for in /proc")
def test_a_head_with_a_token_lets_in_who_has_it_and_a_lost_worker_is_no_words(
    tmp_path: Path,
) -> None:
    """As after `--ray auto` or `ray.init()`, which leave a token in the user's folder."""
    own, strange = tmp_path / "own", tmp_path / "strange"
    for home, token in ((own, "1" * 64), (strange, "")):
        (home / ".ray").mkdir(parents=True)
        if token:
            (home / ".ray" / "auth_token").write_text(token)
    source, out = questions(tmp_path / "in.jsonl", 60), tmp_path / "out.jsonl"
    killed = list[Path]()
    with a_head(own) as address:
        options = ("--model", "tiny", "--ray", address, "--actors", "1", "--threads", "1")
        command = ("batch", str(source), "-o", str(out), *options)
        here = {"HOME": str(own)}
        said = "lets nobody in without its token (none was sent); export RAY_AUTH_MODE=token, and"
        assert_one_sentence(started(*command, env=here), 6, f"The cluster at {address} {said}")
        without = {"HOME": str(strange), "RAY_AUTH_MODE": "token"}
        said = "lets nobody in without its token (Token authentication is enabled but no"
        assert_one_sentence(started(*command, env=without), 6, said)
        environment = {**os.environ, **here, "RAY_AUTH_MODE": "token"}
        process = subprocess.Popen(
            [*COMMAND, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        while not out.exists() or out.read_bytes().count(b"\n") < 3:
            assert process.poll() is None, "a worker was to be killed in the middle"
            time.sleep(0.01)
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                is_there = f"HOME={own}\0".encode() in (entry / "environ").read_bytes()
                if is_there and (entry / "cmdline").read_bytes().startswith(b"ray::Worker"):
                    os.kill(int(entry.name), signal.SIGKILL)
                    killed.append(entry)
        assert killed
        printed, told = process.communicate(timeout=120)
    assert (process.returncode, printed) == (0, ""), told
    assert [line for line in told.splitlines() if line] == [told.splitlines()[-1]]
    assert len(answers(out)) == 60


@contextmanager
def a_head(home: Path) -> Iterator[str]:
    """The address of a cluster that `ray start` makes for whoever lives in this folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sizes = ("--port", str(port), "--num-cpus", "1", "--object-store-memory", str(2**27))
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", *sizes]
    with (
        tempfile.TemporaryDirectory(prefix="ray-") as place,
        (home / "log").open("w") as log,
        subprocess.Popen(
            [*command, "--include-dashboard", "false", "--temp-dir", place],
            stdout=log,
            stderr=log,
            env={**os.environ, "HOME": str(home), "RAY_USAGE_STATS_ENABLED": "0"},
        ) as process,
    ):
        try:
            while "Ray runtime started" not in (home / "log").read_text():
                assert process.poll() is None, (home / "log").read_text()
                time.sleep(0.1)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


def test_an_address_without_a_cluster() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(ServerError, match=f"^There is no Ray cluster at {address} "):
            cluster.joined(address).__enter__()


def test_another_server_is_no_cluster() -> None:
    """Ray would try for minutes."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        threading.Thread(target=_answer_as_the_web, args=(other,), daemon=True).start()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ServerError, match="what listens there is no Ray"):
            cluster.joined(address).__enter__()


def _answer_as_the_web(server: socket.socket) -> None:
    with server.accept()[0] as client:
        client.recv(64)
        client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_a_head_that_is_too_busy_to_answer_is_left_to_ray() -> None:
    """What it has accepted it greets at once, by a frame of settings."""
    with socket.create_server(("127.0.0.1", 0)) as busy:

        def greet() -> None:
            client, _ = busy.accept()
            client.sendall(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
            greeted.append(client)  # who keeps it open

        greeted: list[socket.socket] = []
        threading.Thread(target=greet, daemon=True).start()
        assert not head.wants_token("127.0.0.1", busy.getsockname()[1], within_s=2)
        greeted.pop().close()


@pytest.mark.parametrize("address", ["", "head", "ray://head:10001", "head:port", "head:99999"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(UsageError, match="is no address of a cluster; give HOST:PORT"):
        cluster.joined(address).__enter__()


def test_without_the_extra(tmp_path: Path) -> None:
    (tmp_path / "ray.py").write_text("raise ModuleNotFoundError('ray')")
    source, out = questions(tmp_path / "in.jsonl", 1), tmp_path / "out.jsonl"
    options = ("--model", "tiny", "--ray", "auto")
    env = {"PYTHONPATH": str(tmp_path)}
    result = started("batch", str(source), "-o", str(out), *options, env=env)
    assert_one_sentence(result, 2, "pip install 'minireason[ray]'")


def test_a_draft_model_has_no_room_on_a_shared_gpu(tmp_path: Path) -> None:
    source, out = questions(tmp_path / "in.jsonl", 1), tmp_path / "out.jsonl"
    options = ("--ray", "auto", "--gpu-layers", "1", "--draft-model", "tiny")
    result = minireason("batch", str(source), "-o", str(out), "--model", "tiny", *options)
    assert_one_sentence(result, 2, "--draft-model tiny: a worker's part of a GPU has no room for")


def test_actors_are_of_ray(tmp_path: Path) -> None:
    source, out = questions(tmp_path / "in.jsonl", 1), tmp_path / "out.jsonl"
    result = minireason("batch", str(source), "-o", str(out), "--actors", "2")
    assert_one_sentence(result, 2, "add --ray auto")
    for actors in ("0", "8-2", "-3", "2-", "two", "1-9999999"):
        wrong = ("-o", str(out), f"--actors={actors}", "--ray", "auto")
        result = minireason("batch", str(source), *wrong)
        assert_one_sentence(result, 2, f"--actors {actors}: has to be a whole number from 1 on")


PRETENDING = """
from minireason.engine import devices

own = devices.devices
gpu = devices.Device(0, "CUDA0", "No GPU", "gpu", 6 * 2**30, 8 * 2**30)
devices.devices = lambda: [*own(), gpu]
"""


@pytest.mark.slow
def test_the_command_on_gpus_that_are_pretended(tmp_path: Path) -> None:
    """All but llama.cpp takes them for real; that computes on the CPU."""
    (tmp_path / "sitecustomize.py").write_text(PRETENDING)
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        head = {"num_cpus": 4, "num_gpus": 2, "include_dashboard": False}
        made = cluster_utils.Cluster(initialize_head=True, head_node_args=head)
    try:
        source, out = questions(tmp_path / "in.jsonl", 20), tmp_path / "out.jsonl"
        options = ("--model", "tiny", "--ray", made.address, "--gpu-layers", "-1")
        result = minireason("batch", str(source), "-o", str(out), *options)
        assert result.code == 0, result
        assert len(answers(out)) == 20
        result = minireason("batch", str(source), "-o", f"{out}.2", *options, "--actors", "99")
        assert_one_sentence(result, 2, "the memory and the GPUs for 4 at most")
    finally:
        made.shutdown()
