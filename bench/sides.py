"""Each side of a comparison as a run in a process of its own."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import llama_server
import subject
import tools
from compare import Run, Values

HERE = Path(__file__).parent
TRIES = 3
"""A reply that ends early is tried again with other seeds."""
ANSWER_TOKENS, QUESTION_TOKENS, FIRST_REPLY_TOKENS = 150, 35, 64

Job = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Python:
    """An interpreter, and what its environment has beside ours."""

    executable: str
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Sides:
    """Makes runs of the sides; `before` and the libraries are None or absent where they cannot be.

    The prompts are made once, by our side: as text for us, as token ids for the others.
    """

    model: str
    threads: int
    ours: Python
    before: Python | None
    libraries: Mapping[str, Python]
    load: Mapping[str, Any] = field(default_factory=dict)
    """Further settings with which our side loads the model."""
    texts: dict[int, str] = field(default_factory=dict)
    ids: dict[int, list[int]] = field(default_factory=dict)
    no_amx: bool = False
    """Whether llama-cpp-python crashed with weights for AMX and runs without."""

    def reply(self, prompt: int, tokens: int, *, unrelated: int = 0, before: bool = False) -> Run:
        """One reply of so many tokens, after so many unrelated questions."""

        def run(seed: int) -> Values:
            text = self.prompt(prompt)[0]
            job = {"text": text, "tokens": tokens, "before": unrelated, "seed": seed}
            return self._ours({"job": "reply", **job}, before=before)

        return run

    def chains(self, batch: tools.Batch, *, deep: bool, before: bool = False) -> Run:
        """Chains side by side after a prompt; `before` has a prompt for each, see `unshared`."""

        def run(seed: int) -> Values:
            job = {"text": self.prompt(batch.prompt)[0], "chains": batch.chains, "deep": deep}
            job |= {"tokens": batch.tokens, "shared": not before, "seed": 100 * seed}
            return self._ours({"job": "chains", **job}, before=before)

        return run

    def chat(self, pause_s: float) -> Run:
        """The second turn of a chat."""

        def run(seed: int) -> Values:
            job = self._talk() | {"tokens": FIRST_REPLY_TOKENS, "pause_s": pause_s, "seed": seed}
            return self._ours({"job": "chat", **job})

        return run

    def served(self, tool: tools.Subject) -> Run:
        """The same chat with llama-server."""

        def run(seed: int) -> Values:
            talk = self._talk()
            first, second = ({"role": "user", "content": text} for text in talk["questions"])
            history = [first, {"role": "assistant", "content": talk["answer"]}]
            request = {"max_tokens": FIRST_REPLY_TOKENS, "seed": seed, "min_p": 0.0}
            request |= subject.SAMPLING
            return {"first_token_s": llama_server.first_token_s(tool, history, second, request)}

        return run

    def _talk(self) -> Job:
        questions = [subject.words(QUESTION_TOKENS, seed) for seed in (1, 2)]
        return {"questions": questions, "answer": self.prompt(ANSWER_TOKENS)[0]}

    def overhead(self, depth: int) -> Run:
        """Our own CPU time a token at a depth."""
        return lambda _seed: self._ours({"job": "overhead", "depth": depth})

    def library(self, name: str, prompt: int, tokens: int, n_ctx: int = 2048) -> Run:
        """One reply of another library."""

        def run(seed: int) -> Values:
            ids = self.prompt(prompt)[1]
            job = {"side": name, "ids": ids, "tokens": tokens, "n_ctx": n_ctx, "seed": seed}
            return self._library(job | subject.SAMPLING)

        return run

    def _library(self, job: Job) -> Values:
        python = self.libraries.get(job["side"])
        if python is None:
            raise tools.ToolFailed("it is not installed; --install does so")
        job |= {"model": self.model, "threads": self.threads, "no_amx": self.no_amx}
        try:
            return child(python, "others.py", job)
        except Crashed:
            if self.no_amx or job["side"] != "llama-cpp-python":
                raise
            print("llama-cpp-python crashed; it runs without AMX from here on", file=sys.stderr)
            self.no_amx = True
            return self._library(job)

    def _ours(self, job: Job, *, before: bool = False) -> Values:
        python = self.before if before else self.ours
        if python is None:
            raise tools.ToolFailed("say which commit it is with --before")
        job |= {"model": self.model, "threads": self.threads, "load": dict(self.load)}
        for attempt in range(TRIES):
            try:
                return child(python, "ours.py", job | {"seed": job.get("seed", 0) + 1000 * attempt})
            except tools.ToolFailed as error:
                if "ended after" not in str(error) or attempt == TRIES - 1:
                    raise
        raise AssertionError

    def prompt(self, size: int) -> tuple[str, list[int]]:
        """A prompt of so many tokens, or a few less: its text and its ids."""
        if size not in self.texts:
            job = {"job": "prompts", "sizes": [size]}
            job |= {"model": self.model, "threads": self.threads}
            made: Any = child(self.ours, "ours.py", job)
            self.texts[size], self.ids[size] = made["texts"][str(size)], made["ids"][str(size)]
        return self.texts[size], self.ids[size]


class Crashed(tools.ToolFailed):
    """A process that a signal ended."""


def child(python: Python, script: str, job: Job) -> Values:
    """Run a script with a job; what it prints in its last line. Raises ToolFailed."""
    command = [python.executable, str(HERE / script), json.dumps(job)]
    environment = {**os.environ, **python.environment}
    with tempfile.TemporaryFile("w+", errors="replace") as said:  # a pipe's reader wants a core too
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=said, text=True, env=environment, check=False
        )
        said.seek(0)
        problem = said.read().strip()[-1000:]
    if done.returncode < 0:
        raise Crashed(f"{script} was ended by signal {-done.returncode}")
    if done.returncode:
        raise tools.ToolFailed(f"{script}: {problem}")
    result: Values = json.loads(done.stdout.splitlines()[-1])
    return result


def environment_of(home: str, path: str | None = None) -> dict[str, str]:
    """Variables for our side: a home of its own, and the checkout to import from."""
    variables = {"MINIREASON_HOME": str(subject.folder() / home)}
    return variables | ({"PYTHONPATH": path} if path else {})


def before_of(commit: str) -> Python:
    """The commit before: a checkout of it with this environment, or an interpreter of its own."""
    if Path(commit).is_file():
        return Python(commit, environment_of("home-before"))
    path = subject.folder() / f"checkout-{commit}"
    if not path.exists():
        git = functools.partial(subprocess.run, cwd=HERE, check=True, capture_output=True)
        git(["git", "worktree", "prune"])
        git(["git", "worktree", "add", "--detach", str(path), commit])
    return Python(sys.executable, environment_of("home-before", str(path)))


def library_folder(name: str) -> Path:
    return subject.folder() / "venvs" / name


def libraries_here() -> dict[str, Python]:
    """The libraries that are installed: one beside us, others by `install`."""
    here = {"llama-cpp-python": Python(sys.executable)}
    for name in ("xllamacpp", "ik-llama-cpp-python"):
        executable = library_folder(name) / "bin" / "python"
        if executable.exists():
            here[name] = Python(str(executable))
    return here


def install(name: str) -> None:
    """Install a library's wheel into an environment of its own; raises ToolFailed."""
    folder = library_folder(name)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    done = subprocess.run(
        [*pip, "--only-binary=:all:", name], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise tools.ToolFailed(f"{name} has no wheel for this machine: {done.stderr[-300:]}")
