"""minireason solve: many chains of thought, one answer."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from dataclasses import asdict
from typing import Annotated, Any

import typer

from minireason.cli import options, render, render_vote
from minireason.cli.ask import whole_question
from minireason.cli.options import Asked
from minireason.errors import BadSetting
from minireason.events import Message
from minireason.settings import LoadSettings, VoteSettings
from minireason.solution import Solution

_DEFAULTS = VoteSettings()

Samples = Annotated[
    int | None, typer.Option("--samples", "-n", help=f"Chains of thought. Default: {_DEFAULTS.samples}.", show_default=False)
]
Parallel = Annotated[
    str | None,
    typer.Option(help="Chains at a time. Default: auto, what memory holds and this machine gains from.", show_default=False),
]
Instruction = Annotated[
    str | None,
    typer.Option(help='Added to the question instead of the R1 model card\'s sentence on \\boxed{}; "" adds nothing.', show_default=False),
]


def solve(
    question: Annotated[
        str | None, typer.Argument(help="The question; text on standard input is added after a blank line.", show_default=False)
    ] = None,
    model: options.Model = None,
    samples: Samples = None,
    parallel: Parallel = None,
    stop: Annotated[
        str | None,
        typer.Option(
            help="none: run all; lead: stop once the vote is certain; beta: also once the leader is very likely the "
            f"model's favourite. Default: {_DEFAULTS.stop}.",
            show_default=False,
        ),
    ] = None,
    min_votes: Annotated[
        int | None, typer.Option(help=f"Votes before beta may stop. Default: {_DEFAULTS.min_votes}.", show_default=False)
    ] = None,
    budget_tokens: Annotated[int | None, typer.Option(help="Most tokens of all chains together.", show_default=False)] = None,
    budget_seconds: Annotated[float | None, typer.Option(help="Most seconds of all chains together.", show_default=False)] = None,
    instruction: Instruction = None,
    temperature: options.Temperature = None,
    top_p: options.TopP = None,
    seed: options.Seed = None,
    max_tokens: options.MaxTokens = None,
    system: options.System = None,
    ctx: options.Ctx = None,
    threads: options.Threads = None,
    gpu_layers: options.GpuLayers = None,
    offline: options.Offline = False,
    show_chains: Annotated[bool, typer.Option("--show-chains", help="Write every chain to standard error once it ends.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object with the answer, the vote and every chain.")] = False,
) -> int:
    """Think about a question many times over and let the answers vote; chains that can't change the outcome are stopped."""
    asked = Asked.of(
        model,
        system,
        offline,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
        max_tokens=max_tokens,
        n_ctx=ctx,
        n_threads=threads,
        n_gpu_layers=gpu_layers,
    )
    vote = given(
        samples=samples,
        parallel=parallel_of(parallel),
        stop=stop,
        min_votes=min_votes,
        budget_tokens=budget_tokens,
        budget_s=budget_seconds,
        instruction=instruction,
    )
    VoteSettings.split({**asked.settings, **vote})  # type: ignore[typeddict-item]
    text = whole_question(question)
    board = render_vote.Board(quiet=as_json, show_chains=show_chains)
    solution = run(asked, vote, text, board)
    if as_json:
        print(to_json(solution))
    else:
        board.verdict(solution)
    return 130 if solution.stopped_because == "cancelled" else 0


def run(asked: Asked, vote: dict[str, Any], text: str, board: render_vote.Board) -> Solution:
    """Load the model, run the vote, show it."""
    from minireason.cli.show import interrupts
    from minireason.reasoner import load

    progress = render.Progress()
    messages = [Message(role="system", content=asked.system)] if asked.system else []
    messages.append(Message(role="user", content=text))
    with ExitStack() as stack:
        stack.callback(progress.clear)
        name = asked.model_name()
        progress.loading(name)
        reasoner = stack.enter_context(load(name, on_progress=progress.loaded_share, **room_for(vote.get("parallel"), asked.load)))
        stream = stack.enter_context(reasoner.solve_stream(messages, **asked.settings, **vote))
        progress.say("thinking ...")
        stack.enter_context(interrupts(stream.cancel))
        stack.callback(board.clear)
        for event in stream:
            progress.clear()
            board.show(event)
        return stream.solution


def given(**choices: Any) -> dict[str, Any]:
    """What was said on the command line."""
    return {name: value for name, value in choices.items() if value is not None}


def parallel_of(text: str | None) -> int | str | None:
    """The number of chains at a time, or "auto"; raises BadSetting."""
    if text is None or text == "auto":
        return text
    if not text.isascii() or not text.isdigit():
        raise BadSetting("parallel", text, "has to be a whole number or auto")
    return int(text)


def room_for(parallel: int | str | None, load: dict[str, Any]) -> dict[str, Any]:
    """The settings of loading, with places for this many sequences."""
    wanted = parallel if isinstance(parallel, int) else 1
    return {**load, "n_seq_max": max(LoadSettings().n_seq_max, wanted)}


def to_json(solution: Solution) -> str:
    """The solution as one line of JSON."""
    found = asdict(solution)
    found["tokens"]["total"] = solution.tokens.total
    return json.dumps(found, ensure_ascii=not (sys.stdout.encoding or "").lower().startswith("utf"))
