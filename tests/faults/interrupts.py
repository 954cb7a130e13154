"""A KeyboardInterrupt at every line that a scenario runs, and afterwards the same answers.

    python tests/faults/interrupts.py                 every line, at its first and a later time
    python tests/faults/interrupts.py --points 60     so many of them, spread over all lines

The scenario has more streams than places, prompts that are read in slices, a cache that grows and
then is too small, slots that idle, thoughts that are landed, rewound and structured, streams that
are closed, dropped and read ahead. Every point is tried in three ways: what was interrupted goes
on, or is closed and asked again, or is interrupted once more a few lines later. Then the same
questions are asked again. Children run the points, so that a crash or a hang costs one.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple, TypeAlias, TypeVar

import minireason
from minireason import (
    ChainAnswered,
    ChainDelta,
    ChainStarted,
    Event,
    Reasoner,
    Solved,
    Stream,
)
from minireason.backends import assembly
from minireason.backends.loading import machine
from minireason.backends.local import LocalBackend
from minireason.engine.model import Model
from minireason.models import fit, gguf, shape
from minireason.settings import LoadSettings, Settings

OURS = Path(minireason.__file__).parent
DEADLINE_S, CHUNK = 180.0, 25
WAYS = ("continue", "close", "twice")
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
QUESTIONS: list[tuple[str, dict[str, Any]]] = [
    ("What is 347 + 586?", {"temperature": 0, "max_tokens": 90}),
    (
        "What is 21 + 586?",
        {"temperature": 1.5, "seed": 3, "thinking_budget": 16, "max_tokens": 80, "logprobs": 2},
    ),
    ("What is 347 + 586?", {"temperature": 2.0, "seed": 4, "max_tokens": 70, "stop": ("the",)}),
    (
        "Say 5.",
        {"temperature": 1.0, "seed": 5, "schema": SCHEMA, "thinking_budget": 8, "logprobs": 0},
    ),
    (f"What is {'7' * 230} + 1?", {"temperature": 0, "max_tokens": 40, "min_thinking": 20}),
    (f"{'g' * 200} What is 5 + 8?", {"temperature": 0, "max_tokens": 60}),
]
SURE: list[tuple[str, dict[str, Any]]] = [
    (question, {"temperature": 0, "max_tokens": most})
    for question, most in (
        ("What is 347 + 586?", 300),
        ("What is 21 + 586?", 300),
        ("What is 5 + 8?", 200),
        ("How many r's are in strawberry?", 300),
        ("What is 12 * 34?", 60),
        ("What is 86 + 57?", 300),
    )
]
"""What the model was made for, so that the last bits of the arithmetic never decide a token."""
VOTE: dict[str, Any] = {"samples": 3, "parallel": 2, "stop": "none", "seed": 1, "max_tokens": 60}

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Point:
    """The `time`-th time that a line of a function is run, the first being 0."""

    file: str
    line: int
    time: int


class Answer(NamedTuple):
    """What became of a question, and whether its events added up to it."""

    thinking: str
    answer: str
    finish: str
    shown_whole: bool


class Interrupter:
    """Raises KeyboardInterrupt at a point, and `again_after` lines later once more (0: never)."""

    def __init__(self, point: Point, again_after: int) -> None:
        self._point, self._again = point, again_after
        self._times, self.raised = 0, 0

    def __call__(self, frame: FrameType, _event: str, _arg: object) -> Any:
        code = frame.f_code
        if self.raised:
            return self._count_down if _ours(code) else None
        if not code.co_filename.endswith(self._point.file):
            return None
        return self._at_line if self._point.line in _lines(code) else None

    def _at_line(self, frame: FrameType, event: str, _arg: object) -> Any:
        if event == "line" and not self.raised and frame.f_lineno == self._point.line:
            self._times += 1
            if self._times > self._point.time:
                self._raise()
        return self._at_line

    def _count_down(self, _frame: FrameType, event: str, _arg: object) -> Any:
        if event == "line" and self.raised == 1:
            self._again -= 1
            if not self._again:
                self._raise()
        return self._count_down

    def _raise(self) -> None:
        self.raised += 1
        if self.raised == 2 or not self._again:
            sys.settrace(None)
        raise KeyboardInterrupt


_known_lines: dict[CodeType, frozenset[int]] = {}


def _lines(code: CodeType) -> frozenset[int]:
    if code not in _known_lines:
        _known_lines[code] = frozenset(line for _, _, line in code.co_lines() if line)
    return _known_lines[code]


def _ours(code: CodeType) -> bool:
    return code.co_filename.startswith(str(OURS))


def small_reasoner() -> Reasoner:
    """The built-in model with a cache that has to grow, and little room for parked prompts."""
    path = OURS / "tiny" / "tiny.gguf"
    header = gguf.check(path)
    plan = fit.plan("tiny", shape.of(header), machine(), LoadSettings(n_threads=1))
    plan = replace(plan, n_ctx=512, start_n_ctx=256, cache_tokens=512, spare_tokens=300)
    plan = replace(plan, n_seq_max=4, n_batch=32)
    assembly.UNREAD_TOKENS = 12
    began = time.perf_counter()
    template = header.chat_template or ""
    return Reasoner(LocalBackend("tiny", Model(path), template, plan, Settings(), began))


class Scenario:
    """Streams side by side, and what a user does with them.

    With `closing` what is interrupted is closed and asked again. From where on a prompt is read
    again, and in what slices, changes the last bits of its cells (by 0.1 of a logit in tiny); so
    then the questions are such that these decide nothing. For the same reason long prompts are
    always greedy.
    """

    def __init__(self, reasoner: Reasoner, *, closing: bool = False) -> None:
        self._reasoner, self._closing = reasoner, closing
        self._questions = SURE if closing else QUESTIONS
        self.interruptions = 0
        self._shown: list[str] = []

    def run(self) -> list[Answer]:
        """The answer to every question."""
        messages = [minireason.Message(role="user", content="What is 1 + 1?")]
        self._do(lambda: self._reasoner.prefill(messages))
        streams = [self._start(index) for index in range(len(self._questions))]
        left = self._do(lambda: self._reasoner.stream("What is 9 + 9?", temperature=0))
        for _ in range(5):
            self._do(left.poll)
        self._do(left.close)
        dropped = self._do(lambda: self._reasoner.stream("What is 8 + 9?", temperature=0))
        self._do(dropped.poll)
        del dropped
        self._shown = ["" for _ in streams]
        for _ in range(4):
            streams = [self._poll(index, stream) for index, stream in enumerate(streams)]
        for index in reversed(range(len(streams))):  # meanwhile the others fill up and sit out
            while not self._ended(streams[index]):
                streams[index] = self._poll(index, streams[index])
        self._do(lambda: self._reasoner.prefill(messages))
        answers = [self._answer(index, stream) for index, stream in enumerate(streams)]
        return [*answers, self._vote()]

    def _vote(self) -> Answer:
        """What a vote says, and whether each of its chains said all of what it came to."""
        stream = self._do(lambda: self._reasoner.solve_stream("What is 347 + 586?", **VOTE))
        shown: dict[int, str] = {}
        whole = True
        while True:
            match self._do(lambda: next(stream)):
                case ChainStarted(index=index):
                    whole = whole and index not in shown
                    shown[index] = ""
                case ChainDelta(index=index, delta=delta):
                    shown[index] += delta.text
                case ChainAnswered(chain):
                    whole = whole and shown[chain.index] == chain.thinking + chain.text
                case Solved(solution):
                    votes = sum(candidate.votes for candidate in solution.candidates)
                    because = solution.stopped_because
                    return Answer(f"{votes} votes", str(solution.answer), because, whole)

    def _answer(self, index: int, stream: Stream) -> Answer:
        self._shown[index] += _text(self._do(stream.poll))
        reply = self._do(lambda: stream.reply)
        whole = self._shown[index] == reply.thinking + reply.answer
        if "logprobs" in self._questions[index][1]:
            ends = [one.text_end for one in stream.logprobs]
            whole = whole and ends == sorted(ends) and len(ends) == reply.usage.answer_tokens
        return Answer(reply.thinking, reply.answer, reply.finish_reason, whole)

    def _ended(self, stream: Stream) -> bool:
        return self._do(lambda: stream.ended)

    def _start(self, index: int) -> Stream:
        question, settings = self._questions[index]
        return self._do(lambda: self._reasoner.stream(question, **settings))

    def _poll(self, index: int, stream: Stream) -> Stream:
        before = self.interruptions
        text = _text(self._do(stream.poll))
        if self._closing and self.interruptions > before:
            self._do(stream.close)
            self._shown[index] = ""
            return self._start(index)
        self._shown[index] += text
        return stream

    def _do(self, act: Callable[[], _T]) -> _T:
        while True:
            try:
                return act()
            except KeyboardInterrupt:
                self.interruptions += 1


def _text(events: Iterable[Event]) -> str:
    return "".join(getattr(event, "text", "") for event in events)


def expected(*, closing: bool = False) -> list[Answer]:
    """What the scenario says when nothing interrupts it."""
    with small_reasoner() as reasoner:
        return Scenario(reasoner, closing=closing).run()


def points() -> list[Point]:
    """Every line that the scenario runs: its first time and, if there are more, one later."""
    times: dict[tuple[str, int], int] = {}

    def count(frame: FrameType, event: str, _arg: object) -> Any:
        if not _ours(frame.f_code):
            return None
        if event == "line":
            place = frame.f_code.co_filename, frame.f_lineno
            times[place] = times.get(place, 0) + 1
        return count

    with small_reasoner() as reasoner:
        sys.settrace(count)
        Scenario(reasoner).run()
        sys.settrace(None)
    rng = random.Random(1)
    listed = []
    for (file, line), often in sorted(times.items()):
        short = str(Path(file).relative_to(OURS.parent))
        listed.append(Point(short, line, 0))
        if often > 1:
            listed.append(Point(short, line, rng.randrange(1, often)))
    return listed


def problem(point: Point, way: str, answers: list[Answer]) -> str:
    """What is wrong after an interruption at this point, "" if nothing is."""
    again_after = 1 + hash((point.line, point.time)) % 40 if way == "twice" else 0
    with small_reasoner() as reasoner:
        interrupter = Interrupter(point, again_after)
        sys.settrace(interrupter)
        try:
            interrupted = Scenario(reasoner, closing=way == "close").run()
        finally:
            sys.settrace(None)
        if not interrupter.raised:
            return ""  # with the other's times it does not come that often
        if interrupted != answers:
            return f"the interrupted answers differ: {_difference(interrupted, answers)}"
        later = Scenario(reasoner, closing=way == "close").run()
        if later != answers:
            return f"later answers differ: {_difference(later, answers)}"
    return ""


def _difference(got: Sequence[object], wanted: Sequence[object]) -> str:
    return next(f"{a!r} is not {b!r}" for a, b in zip(got, wanted, strict=True) if a != b)


def child() -> None:
    """Read points as lines of JSON, and write what is wrong after each; end where one hangs."""
    answers: dict[bool, list[Answer]] = {}
    for line in sys.stdin:
        way, *fields = json.loads(line)
        closing = way == "close"
        answers[closing] = answers.get(closing) or expected(closing=closing)
        faulthandler.dump_traceback_later(DEADLINE_S, exit=True)
        print(json.dumps(problem(Point(*fields), way, answers[closing])), flush=True)


Job: TypeAlias = tuple[Point, str]
Outcome: TypeAlias = tuple[Point, str, str]


def outcomes(jobs: Sequence[Job], workers: int) -> Iterator[Outcome]:
    """Each point, the way and what was wrong, from `workers` children at a time."""
    chunks = [jobs[start : start + CHUNK] for start in range(0, len(jobs), CHUNK)]
    with ThreadPoolExecutor(workers) as threads:
        for ended in as_completed([threads.submit(_in_child, chunk) for chunk in chunks]):
            yield from ended.result()


def _in_child(jobs: Sequence[Job]) -> list[Outcome]:
    """What a child says of these points; where one is lost, another child goes on."""
    told: list[str] = []
    while len(told) < len(jobs):
        rest = jobs[len(told) :]
        lines = [json.dumps([way, *asdict(point).values()]) for point, way in rest]
        done = subprocess.run(
            [sys.executable, __file__, "--child"],
            input="\n".join(lines),
            capture_output=True,
            text=True,
            check=False,
        )
        told += [json.loads(line) for line in done.stdout.splitlines()]
        if len(told) < len(jobs):
            told.append(f"lost (exit status {done.returncode}): {done.stderr[-1500:]}")
    return [(point, way, wrong) for (point, way), wrong in zip(jobs, told, strict=True)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the points and print what was wrong; the exit status is 1 if anything was."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--points", type=int, help="so many points, spread evenly")
    parser.add_argument("--ways", nargs="+", default=WAYS, choices=WAYS)
    parser.add_argument("--only", default="", help="files whose name has this in it")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        child()
        return 0
    jobs = [
        (point, way) for point in points() if options.only in point.file for way in options.ways
    ]
    if options.points:
        jobs = [jobs[len(jobs) * index // options.points] for index in range(options.points)]
    wrong, lost = 0, 0
    for point, way, problem in outcomes(jobs, options.workers):
        if problem:
            print(f"{point.file}:{point.line} ({point.time}), {way}: {problem}", flush=True)
            wrong += not problem.startswith("lost")
            lost += problem.startswith("lost")
    print(f"{len(jobs)} interruptions: {lost} crashes or hangs, {wrong} wrong answers")
    return int(bool(wrong or lost))


if __name__ == "__main__":
    sys.exit(main())
