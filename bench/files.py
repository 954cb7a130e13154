"""Which files of ours one prompt passes through: `python bench/files.py`; JSON in the last line.

Three real runs of the built-in model, with the model loaded: a stream to its Done, a vote of four
chains to its Solved, the second turn of a chat. A file counts if a function in it runs; a call
counts as going up where the caller's room lies below that of the function (rooms: tests/rooms.py).
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).parents[1]))

import minireason
from minireason import Reasoner
from tests.rooms import ROOT, floor, module

QUESTION = "What is 347 + 586?"


class Calls:
    """The files of ours that ran, and how often one called up into another."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.up: Counter[tuple[str, str]] = Counter()
        self._modules: dict[str, str | None] = {}

    def during(self, act: Callable[[], int]) -> int:
        """Run `act` and note its calls; what it gives back."""
        sys.setprofile(self._noted)
        try:
            return act()
        finally:
            sys.setprofile(None)

    def _noted(self, frame: FrameType, event: str, _argument: object) -> None:
        name = self._module(frame) if event == "call" else None
        if name is None or frame.f_code.co_name == "<module>":
            return
        self.files.add(name)
        caller = self._module(frame.f_back) if frame.f_back else None
        if caller and floor(caller) < floor(name):
            self.up[caller, f"{name}.{frame.f_code.co_qualname}"] += 1

    def _module(self, frame: FrameType) -> str | None:
        file = frame.f_code.co_filename
        if file not in self._modules:
            path = Path(file)
            self._modules[file] = module(path) if path.is_relative_to(ROOT) else None
        return self._modules[file]


def stream(reasoner: Reasoner) -> int:
    """One reply; how many tokens were sampled."""
    with reasoner.stream(QUESTION, temperature=0) as events:
        for _ in events:
            pass
        usage = events.reply.usage
    return usage.thinking_tokens + usage.answer_tokens


def vote(reasoner: Reasoner) -> int:
    """A vote of four chains; how many tokens were sampled."""
    return reasoner.solve(QUESTION, samples=4, parallel=4, seed=1).tokens.generated


def turn(reasoner: Reasoner) -> Callable[[], int]:
    """The second turn of a chat, the first being over."""
    chat = reasoner.chat(temperature=0)
    chat.send("What is 12 + 5?")

    def second() -> int:
        usage = chat.send("What is 21 + 4?").usage
        return usage.thinking_tokens + usage.answer_tokens

    return second


def main() -> None:
    """Count, print each run, and all of it as JSON."""
    report = {}
    # Else drafts and threads would follow what is measured, and the counts with them.
    with minireason.load("tiny", n_threads=1, reproducible=True) as reasoner:
        runs = {
            "stream": lambda: stream(reasoner),
            "vote": lambda: vote(reasoner),
            "chat turn": turn(reasoner),
        }
        for act in runs.values():
            act()  # what is imported late is there afterwards
        for name, act in runs.items():
            calls = Calls()
            tokens = calls.during(act)
            print(f"{name}: {len(calls.files)} files, {tokens} tokens")
            print("  " + " ".join(sorted(calls.files)))
            for (caller, name_up), often in calls.up.most_common():
                print(f"  up: {caller} -> {name_up} {often} times")
            up = {f"{a} -> {b}": often for (a, b), often in calls.up.items()}
            report[name] = {"files": len(calls.files), "tokens": tokens, "calls_up": up}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
