"""A batch in a process of its own: `python bench/batch_jobs.py JOB`, one JSON object each way."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import subject

from minireason import Message, Reasoner, connect, load
from minireason.backends.base import ReplyStream
from minireason.backends.scripted import ScriptedBackend, ScriptedReply
from minireason.batch import jobs as batch_jobs
from minireason.batch import lines, output
from minireason.batch.forms import OwnForm
from minireason.batch.local import OPTIONS, Answered, Runner
from minireason.batch.refusals import Refusals
from minireason.errors import MinireasonError
from minireason.events import Reply
from minireason.settings import Changes, Settings

Job = dict[str, Any]
QUESTION_WORDS = 30
SCRIPT = ScriptedReply(thinking="three words long", answer="a short answer")


def opened(job: Job) -> Reasoner:
    """The model of a server, or one that is loaded here, with a place for each reply."""
    if job.get("url"):
        return connect(job["url"])
    return load(job["model"], n_threads=job["threads"], n_seq_max=job["parallel"])


def pool(job: Job) -> Job:
    """Batches one after another over a model here or on a server: tokens per second."""
    with opened(job) as reasoner:
        changes = cast("Changes", job["settings"])
        reasoner.ask(subject.words(5, 999), **{**changes, "max_tokens": 8})  # which warms it up
        settings = reasoner.defaults.changed(changes)
        began, tokens = time.perf_counter(), 0
        for number in range(job["batches"]):
            runner = Runner(reasoner.backend)
            asked = replies_to(job["questions"], settings, number)
            for result in runner.results(asked, job["parallel"]):
                if isinstance(result, Answered):
                    tokens += tokens_of(result.reply)
                elif result:
                    raise result.error
        return {"rate": tokens / (time.perf_counter() - began), "tokens": tokens}


def replies_to(questions: list[str], settings: Settings, number: int) -> Iterator[batch_jobs.Job]:
    """A job for each question; `number` is the batch's, for other seeds and no common cache."""
    for index, question in enumerate(questions):
        message = Message(role="user", content=f"{number}. {question}")
        seeded = settings.changed({"seed": 1000 * number + index})
        yield batch_jobs.Job(batch_jobs.Item(index, index, (message,), seeded), 0, seeded)


def tokens_of(reply: Reply) -> int:
    return reply.usage.thinking_tokens + reply.usage.answer_tokens


def bare(job: Job) -> Job:
    """The questions of a file in a plain loop over streams: tokens per second."""
    with opened(job) as reasoner:
        settings = reasoner.defaults.changed(cast("Changes", job["settings"]))
        read = Path(job["source"]).read_text("utf-8").splitlines()
        todo = (json.loads(line)["question"] for line in read)
        streams: list[ReplyStream] = []
        began, tokens = time.perf_counter(), 0
        while True:
            while len(streams) < job["parallel"] and (question := next(todo, None)):
                message = Message(role="user", content=question)
                streams.append(reasoner.backend.stream([message], settings, OPTIONS))
            if not streams:
                return {"rate": tokens / (time.perf_counter() - began), "tokens": tokens}
            for stream in list(streams):
                stream.poll()
                if stream.ended:
                    streams.remove(stream)
                    tokens += tokens_of(stream.reply)


def items(job: Job) -> Job:
    """A file through the whole of a batch but the model: CPU time of an item, and peak memory.

    `own_us` is without what the scripted backend itself takes.
    """
    source, out = Path(job["source"]), Path(job["folder"]) / "out.jsonl"
    backend = ScriptedBackend(lambda _messages: said(backend))
    began = time.process_time()
    written = through(source, out, backend, job["parallel"])
    spent_s, peak_mib = time.process_time() - began, status("VmHWM") / 1024
    assert written == job["items"], f"{written} of {job['items']} replies"

    began = time.process_time()
    message, settings = Message(role="user", content="What is 1 + 1?"), Settings()
    for _ in range(written):
        stream = backend.stream([message], settings, OPTIONS)
        while not stream.ended:
            stream.poll()
        _ = stream.reply
    scripted_s = time.process_time() - began
    return {
        "own_us": 1e6 * (spent_s - scripted_s) / written,
        "scripted_us": 1e6 * scripted_s / written,
        "peak_mib": peak_mib,
    }


def said(backend: ScriptedBackend) -> ScriptedReply:
    """The reply, the same each time; what was asked is forgotten, which would grow."""
    backend.requests.clear()
    return SCRIPT


def through(source: Path, out: Path, backend: ScriptedBackend, parallel: int) -> int:
    """Answer a file as the command does; how many replies were written."""
    lines.facts(source)
    form, seed = OwnForm(), 1
    run = output.Run(
        "scripted", model_sha256="", seed=seed, system=None, settings={}, input_sha256=""
    )
    replies = output.resume(out, run)
    defaults = batch_jobs.Defaults(Settings(), None, seed)
    todo = batch_jobs.jobs(lines.read(source), defaults, replies.done, broken, form.item)
    with output.Writer(replies) as writer:
        for result in Refusals(todo, defaults).results(Runner(backend), parallel):
            if isinstance(result, Answered):
                line = form.written(result, numbered=False)
                writer.write(line, result.reply.finish_reason)
    replies.done.close()
    return replies.replies


def broken(number: int, problem: MinireasonError) -> None:
    raise SystemExit(f"line {number}: {problem}")


def status(field: str) -> int:
    """A line of /proc/self/status in KiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0])
    raise KeyError(field)


JOBS: dict[str, Callable[[Job], Job]] = {act.__name__: act for act in (pool, bare, items)}


def main() -> None:
    job = json.loads(sys.argv[1])
    print(json.dumps(JOBS[job["job"]](job)))


if __name__ == "__main__":
    main()
