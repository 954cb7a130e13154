"""minireason in a process of its own: `python bench/ours.py JOB`, one JSON object each way.

It uses the public names alone, so that the commit before runs it too; `unshared.py` and
`overhead.py` know more.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import subject

from minireason import AnswerDelta, Message, Reasoner, ThinkingDelta, load
from minireason.backends.base import ReplyStream
from minireason.backends.stream import Stream
from minireason.conversation.read_ahead import ReadAhead

SETTINGS: dict[str, Any] = {**subject.SAMPLING, "loop_check": False}
Job = dict[str, Any]


def opened(job: Job) -> Reasoner:
    return load(job["model"], n_threads=job["threads"], **job.get("load", {}))


def text_of(reasoner: Reasoner, tokens: int, seed: int = 0) -> str:
    """Words that make a prompt of so many tokens with the template, or a few less."""
    low, high = 1, tokens
    while low < high:
        middle = (low + high + 1) // 2
        fits = reasoner.count_tokens(subject.words(middle, seed)) <= tokens
        low, high = (middle, high) if fits else (low, middle - 1)
    return subject.words(low, seed)


def prompts(job: Job) -> Job:
    """Texts for prompts of some lengths, and their token ids for peers, by the length as text."""
    texts, ids = {}, {}
    with opened(job) as reasoner:
        for size in job["sizes"]:
            texts[str(size)] = text_of(reasoner, size, size)
            with reasoner.stream(texts[str(size)]) as stream:
                ids[str(size)] = ids_of(stream)
    return {"texts": texts, "ids": ids}


def ids_of(stream: ReplyStream) -> list[int]:
    """The token ids of a prompt that nothing has followed yet."""
    assert isinstance(stream, Stream)
    return list(stream.token_ids)


def reply(job: Job) -> Job:
    """One reply, printed as it comes: to the first token, and tokens per second from there on."""
    started = time.perf_counter()
    with opened(job) as reasoner:
        load_s = time.perf_counter() - started
        for seed in range(job.get("before", 0)):
            reasoner.ask(text_of(reasoner, 600, seed + 1000), max_tokens=1, **SETTINGS)
        with reasoner.stream(job["text"], seed=job["seed"], **SETTINGS) as stream:
            decode = printed(stream, job["tokens"])
        done = stream.reply
    return {
        "load_s": load_s,
        "first_token_s": done.timings.prefill_s,
        "prefill": (done.usage.prompt_tokens - done.usage.cached_tokens) / done.timings.prefill_s,
        "decode": decode,
        "peak_mib": peak_mib(),
    }


def printed(stream: ReplyStream, tokens: int) -> float:
    """Print a stream until it has so many tokens; tokens per second after the first ones."""
    began, before = 0.0, 0
    for event in stream:
        if isinstance(event, ThinkingDelta | AnswerDelta):
            print(event.text, end="", file=sys.stderr, flush=True)
        if not before:
            began, before = time.perf_counter(), stream.tokens
        if stream.tokens >= tokens:
            return (stream.tokens - before) / max(1e-9, time.perf_counter() - began)
    sys.exit(f"the reply ended after {stream.tokens} of {tokens} tokens")


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def chains(job: Job) -> Job:
    """Streams side by side from one prompt: tokens per second, of all and after the first ones.

    `shared` False gives each a prompt of its own, which is put in place without reading it.
    """
    with opened(job) as reasoner:
        questions = [job["text"]] * job["chains"]
        if job["shared"]:
            if job["deep"]:
                reasoner.ask(job["text"], max_tokens=1, **SETTINGS)
        else:
            import unshared

            questions = unshared.fill(reasoner, job["text"], job["chains"], job["tokens"])
        began = time.perf_counter()
        streams = [
            reasoner.stream(question, seed=job["seed"] + index, **SETTINGS)
            for index, question in enumerate(questions)
        ]
        advance(streams, 1)
        first, before = time.perf_counter(), sum(stream.tokens for stream in streams)
        advance(streams, job["tokens"])
        ended, after = time.perf_counter(), sum(stream.tokens for stream in streams)
        for stream in streams:
            stream.close()
    return {"whole": after / (ended - began), "decode": (after - before) / (ended - first)}


def advance(streams: Sequence[ReplyStream], tokens: int) -> None:
    """Run all streams until each has so many tokens."""
    while min(stream.tokens for stream in streams) < tokens:
        for stream in streams:
            stream.poll()
            if stream.ended:
                sys.exit(f"a chain ended after {stream.tokens} of {tokens} tokens")


def chat(job: Job) -> Job:
    """Seconds to the first token of a chat's second turn, with the history read ahead or not.

    The reply of the first turn is replaced by a fixed answer, as a thought would be.
    """
    with opened(job) as reasoner:
        ahead = ReadAhead()
        opening: list[Message] = [{"role": "user", "content": job["questions"][0]}]
        with reasoner.stream(opening, seed=job["seed"], **SETTINGS) as stream:
            printed(stream, job["tokens"])
        history: list[Message] = [*opening, {"role": "assistant", "content": job["answer"]}]
        ahead.start(reasoner.backend, history)
        time.sleep(job["pause_s"])
        began = time.perf_counter()
        ahead.stop()
        question: Message = {"role": "user", "content": job["questions"][1]}
        with reasoner.stream([*history, question], seed=job["seed"], **SETTINGS) as stream:
            next(stream)
            return {"first_token_s": time.perf_counter() - began}


def overhead(job: Job) -> Job:
    """Our own CPU time a token; see `overhead.py`."""
    import overhead as scripted

    return {"cpu_us": scripted.cpu_us(job["depth"])}


JOBS: dict[str, Callable[[Job], Job]] = {
    act.__name__: act for act in (prompts, reply, chains, chat, overhead)
}


def main() -> None:
    import minireason

    job = json.loads(sys.argv[1])
    result = JOBS[job["job"]](job)
    print(json.dumps({**result, "package": minireason.__file__}))


if __name__ == "__main__":
    main()
