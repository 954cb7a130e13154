"""Ask a model that a server runs: its thinking apart, a thinking budget, and a vote.

`python examples/server.py "What is 347 + 586?" --url http://127.0.0.1:8181/v1`

The server may be minireason's, vLLM, SGLang, llama-server, Ollama or an API. Without a URL one with
the built-in model is started for the time being (extra `server`).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import minireason
from minireason import AnswerDelta, Done, ThinkingDelta


@contextmanager
def started() -> Iterator[str]:
    """The URL of a server that runs as long as the block."""
    command = [sys.executable, "-m", "minireason", "serve", "--model", "tiny", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            first_line = process.stdout.readline() if process.stdout else ""
            if not first_line:
                sys.exit("The server did not start; `minireason serve --model tiny` says why.")
            yield f"{first_line.split()[-1]}v1"
        finally:
            process.terminate()


def show(url: str, options: argparse.Namespace) -> None:
    """Ask once with a budget, and then let several chains of thought vote."""
    answering = False
    with minireason.connect(url, options.model) as reasoner:
        for event in reasoner.stream(options.question, thinking_budget=options.budget):
            match event:
                case ThinkingDelta(text=text):
                    print(text, end="", file=sys.stderr, flush=True)
                case AnswerDelta(text=text):
                    if not answering:
                        print("\n", file=sys.stderr, flush=True)
                        answering = True
                    print(text, end="", flush=True)
                case Done(reply=reply):
                    tokens, end = reply.usage.thinking_tokens, reply.thinking_end
                    print(f"\n{tokens} tokens of thinking, which ended by: {end}")
        solution = reasoner.solve(options.question, samples=options.samples)
        print(f"{solution.answer} by {solution.agreement:.0%} of the votes")


def main() -> None:
    """Ask the server at the URL, or one that is started."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("question", nargs="?", default="What is 347 + 586?")
    parser.add_argument("--url", help="up to its /v1, or a name of remotes.toml")
    parser.add_argument("--model", help="one of the server's, where it has several")
    parser.add_argument("--budget", type=int, default=400, help="most tokens of thinking")
    parser.add_argument("--samples", type=int, default=4, help="chains that vote")
    options = parser.parse_args()
    if options.url:
        show(options.url, options)
        return
    with started() as url:
        show(url, options)


if __name__ == "__main__":
    main()
