"""Time to the first token of turns 2 to 6 of a chat, with and without a pause before each question.

`python bench/chat.py`, with `--model PATH` or with `--shape r1-qwen-1.5b`. The same conversation
several times over: questions and answers in the history have a fixed number of tokens, whatever the
model said. A reply runs to `--reply` tokens and is then replaced by the fixed answer, as the
template replaces thought and answer by the answer alone; how long it was does not matter to
anybody's cache, since none can keep it. minireason reads the history ahead in the background; then
it is loaded anew for each turn, so that nothing is cached; llama-cpp-python's Llama keeps the
longest prefix that its last call left in the cache; and so does llama-server with `cache_prompt`,
where there is one on the PATH.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import llama_server
import subject
import tools

from minireason import Message, Reasoner, load
from minireason.conversation.read_ahead import ReadAhead

TURNS = 6
WORDS = subject.STORY.split()


@dataclass(frozen=True)
class Talk:
    """What is said, the same in every run."""

    questions: list[str]
    answers: list[str]

    def until(self, turn: int) -> list[Message]:
        """The messages up to a turn's question."""
        messages = []
        for question, answer in zip(self.questions[: turn + 1], self.answers, strict=False):
            messages += [
                Message(role="user", content=question),
                Message(role="assistant", content=answer),
            ]
        return messages[:-1]


def text(reasoner: Reasoner, tokens: int, seed: int) -> str:
    """Words that make about so many tokens."""
    words: list[str] = []
    while reasoner.count_tokens(" ".join([*words, "?"])) < tokens + reasoner.count_tokens("?"):
        words.append(WORDS[(seed + len(words)) % len(WORDS)])
    return " ".join(words)


def first_token_s(
    arguments: argparse.Namespace, reasoner: Reasoner, messages: list[Message]
) -> float:
    """Seconds to the first token of a reply, which is then generated to its end."""
    began = time.perf_counter()
    with reasoner.stream(
        messages, max_tokens=arguments.reply, seed=1, **subject.SAMPLING
    ) as stream:
        next(stream)
        seconds = time.perf_counter() - began
        for _ in stream:
            pass
    return seconds


def ours(arguments: argparse.Namespace, talk: Talk, pause_s: float) -> list[float]:
    """Seconds to the first token of each turn, with the history read ahead."""
    times = []
    with load(arguments.model, n_threads=arguments.threads) as reasoner:
        ahead = ReadAhead()
        for turn in range(TURNS):
            messages = talk.until(turn)
            time.sleep(pause_s if turn else 0)
            began = time.perf_counter()
            ahead.stop()
            stopped_s = time.perf_counter() - began
            times.append(stopped_s + first_token_s(arguments, reasoner, messages))
            ahead.start(
                reasoner.backend, [*messages, Message(role="assistant", content=talk.answers[turn])]
            )
        ahead.stop()
    return times


def read_again(arguments: argparse.Namespace, talk: Talk) -> list[float]:
    """Seconds to the first token of each turn, with everything to be read again."""
    times = []
    for turn in range(TURNS):
        with load(arguments.model, n_threads=arguments.threads) as reasoner:
            times.append(first_token_s(arguments, reasoner, talk.until(turn)))
    return times


def theirs(arguments: argparse.Namespace, talk: Talk) -> list[float]:
    from llama_cpp import Llama

    from minireason.engine.devices import leave_out_amx

    leave_out_amx()  # with it Llama crashes; see bench/others.py
    threads = {"n_threads": arguments.threads, "n_threads_batch": arguments.threads}
    model = Llama(arguments.model, n_ctx=arguments.ctx, verbose=False, **threads)
    times = []
    wanted = {
        "max_tokens": arguments.reply,
        "min_p": 0.0,
        "repeat_penalty": 1.0,
        "seed": 1,
        **subject.SAMPLING,
    }
    for turn in range(TURNS):
        began = time.perf_counter()
        first = None
        for chunk in model.create_chat_completion(talk.until(turn), stream=True, **wanted):
            if first is None and "content" in chunk["choices"][0]["delta"]:
                first = time.perf_counter() - began
        times.append(first or time.perf_counter() - began)
    model.close()
    return times


def served(arguments: argparse.Namespace, talk: Talk) -> list[float]:
    """Seconds to the first token of each turn, by llama-server."""
    wanted = {"max_tokens": arguments.reply, "min_p": 0.0, "seed": 1, **subject.SAMPLING}
    tool = tools.Subject(arguments.model, arguments.threads)
    times = []
    with llama_server.running(tool, slot_tokens=arguments.ctx) as port:
        for turn in range(TURNS):
            began = time.perf_counter()
            pieces = llama_server.pieces(port, list(map(dict, talk.until(turn))), wanted)
            next(pieces)
            times.append(time.perf_counter() - began)
            for _ in pieces:
                pass
    return times


def arguments_of() -> argparse.Namespace:
    parser = subject.parser_of(__doc__)
    parser.add_argument("--question", type=int, default=35, help="tokens of each question")
    parser.add_argument(
        "--answer", type=int, default=150, help="tokens of each answer in the history"
    )
    parser.add_argument(
        "--reply", type=int, default=64, help="tokens that are generated in each turn"
    )
    parser.add_argument("--ctx", type=int, default=4096, help="context of the peer")
    parser.add_argument("--pause", type=float, default=5.0)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument(
        "--skip-again", action="store_true", help="leave out the run that reads everything again"
    )
    return subject.parse(parser)


def main() -> None:
    arguments = arguments_of()
    with load(arguments.model) as reasoner:
        talk = Talk(
            *(
                [text(reasoner, size, turn) for turn in range(TURNS)]
                for size in (arguments.question, arguments.answer)
            )
        )
    runs: dict[str, Callable[[], list[float]]] = {
        f"minireason, {arguments.pause:g} s pause": lambda: ours(arguments, talk, arguments.pause),
        "minireason, no pause": lambda: ours(arguments, talk, 0.0),
        "llama-cpp-python": lambda: theirs(arguments, talk),
        "llama-server": lambda: served(arguments, talk),
        "everything read again": lambda: read_again(arguments, talk),
    }
    if not shutil.which(tools.SERVER):
        del runs["llama-server"]
    if arguments.skip_again:
        del runs["everything read again"]
    times: dict[str, list[list[float]]] = {name: [] for name in runs}
    for _ in range(arguments.repeat):
        for name, run in runs.items():
            times[name].append(run()[1:])
            print(
                f"{name}: {' '.join(f'{value:.3f}' for value in times[name][-1])}", file=sys.stderr
            )
    report(arguments, times)


def report(arguments: argparse.Namespace, times: dict[str, list[list[float]]]) -> None:
    lengths = f"questions of {arguments.question} tokens, answers of {arguments.answer}"
    print(f"{Path(arguments.model).name}, {arguments.threads} threads, {lengths};")
    print(f"first token of turns 2 to {TURNS}, s, medians of {arguments.repeat} runs\n")
    each = {
        name: [statistics.median(turn) for turn in zip(*runs, strict=True)]
        for name, runs in times.items()
    }
    peers = [name for name in ("llama-cpp-python", "llama-server") if name in each]
    heads = "".join(f" / {name} |" for name in peers)
    print(f"| {'':24} | median | each turn |{heads}\n|-|-:|-|{'-:|' * len(peers)}")
    for name, turns in each.items():
        each_turn = " ".join(f"{value:.3f}" for value in turns)
        ratios = "".join(f" {ratio(turns, each[peer]):.2f} |" for peer in peers)
        print(f"| {name:24} | {statistics.median(turns):6.3f} | {each_turn} |{ratios}")
    print(json.dumps({**vars(arguments), "first_token_s": times}))


def ratio(turns: list[float], others: list[float]) -> float:
    return statistics.median(mine / other for mine, other in zip(turns, others, strict=True))


if __name__ == "__main__":
    main()
