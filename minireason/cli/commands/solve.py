"""minireason solve: many chains of thought, one answer."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Annotated, Literal, cast

import typer

from minireason.cli import idle, load_options, options, outcome
from minireason.cli.commands.ask import whole_question
from minireason.cli.grouped import expand
from minireason.cli.options import Asked
from minireason.cli.remote import Remote
from minireason.cli.terminal import notes, output, retrying, vote_board
from minireason.cli.terminal.progress import Progress
from minireason.errors import BadSetting, ServerError
from minireason.settings import LoadChanges, LoadSettings, SolveChanges, VoteChanges, VoteSettings
from minireason.voting.solution import ChainStarted, Solution

_DEFAULTS = VoteSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The options of every command that runs many chains, by the names of `VoteSettings`.

    They are None where the user said nothing.
    """

    parallel: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Chains at a time. Default: auto, what memory holds and this machine gains from.",
            show_default=False,
        ),
    ] = None
    instruction: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Added to the question instead of the R1 model card's sentence on \\boxed{}; "
            '"" adds nothing.',
            show_default=False,
        ),
    ] = None

    @property
    def changes(self) -> VoteChanges:
        """What was asked for of the vote; raises BadSetting."""
        values = load_options.given(self, VoteSettings)
        if self.parallel is not None:
            values["parallel"] = parallel_of(self.parallel)
        return cast("VoteChanges", values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote(Batch):
    """The options of the vote."""

    samples: Annotated[
        int | None,
        typer.Option(
            "--samples",
            "-n",
            help=f"Chains of thought. Default: {_DEFAULTS.samples}.",
            show_default=False,
        ),
    ] = None
    stop: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help="none: run all; lead: stop once the vote is certain; beta: also once the leader "
            f"would very likely stay the leader. Default: {_DEFAULTS.stop}.",
            show_default=False,
        ),
    ] = None
    min_votes: Annotated[
        int | None,
        typer.Option(
            help=f"Votes before beta may stop. Default: {_DEFAULTS.min_votes}.", show_default=False
        ),
    ] = None
    budget_tokens: Annotated[
        int | None,
        typer.Option(
            metavar="TOKENS", help="Most tokens of all chains together.", show_default=False
        ),
    ] = None
    budget_s: Annotated[
        float | None,
        typer.Option(
            "--budget-seconds",
            metavar="SECONDS",
            help="Most seconds of all chains together.",
            show_default=False,
        ),
    ] = None


@expand
def solve(
    question: options.Question = None,
    *,
    vote: Vote,
    asked: Asked,
    remote: Remote,
    show_chains: Annotated[
        bool,
        typer.Option("--show-chains", help="Write every chain to standard error once it ends."),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print one JSON object with the answer, the vote and every chain."
        ),
    ] = False,
) -> int:
    """Think about a question many times; the answers vote.

    Chains of thought that can no longer change the outcome are stopped.
    """
    changes: SolveChanges = {**asked.settings, **vote.changes}
    VoteSettings.split(changes)
    text = whole_question(question)
    board = vote_board.Board(quiet=as_json, show_chains=show_chains)

    def tell(solution: Solution, failed: bool = False) -> None:
        if as_json:
            print(to_json(solution))
            if solution.answer is None:
                notes.error_line(outcome.NO_RESULT)
        else:
            board.verdict(solution, failed=failed)

    try:
        solution = run(asked, remote, changes, text, board)
    except _FailedVote as lost:
        tell(lost.so_far, failed=True)
        raise lost.error from None
    tell(solution)
    return outcome.of_solution(solution)


class _FailedVote(Exception):
    """The server failed in the middle of a vote."""

    def __init__(self, so_far: Solution, error: ServerError) -> None:
        self.so_far, self.error = so_far, error


def run(
    asked: Asked, remote: Remote, changes: SolveChanges, text: str, board: vote_board.Board
) -> Solution:
    """Load the model, run the vote, show it; raises _FailedVote where there are votes."""
    from minireason.cli.terminal.show import interrupts
    from minireason.cli.terminal.suspension import suspendable
    from minireason.reasoner import load

    progress = Progress()
    with ExitStack() as stack:
        stack.callback(progress.clear)
        name = remote.model_name(asked)
        parallel = changes.get("parallel", "auto")
        how = room_for(parallel, asked.load)
        reasoner = stack.enter_context(
            remote.open(
                name,
                progress,
                lambda: load(name, on_progress=progress.loaded_share, **how),
                parallel,
            )
        )
        idle.say(asked, reasoner, name)
        stream = stack.enter_context(reasoner.solve_stream(asked.messages(text), **changes))
        progress.say("thinking ...", retrying.words(reasoner.backend))
        stack.enter_context(suspendable())
        stack.enter_context(interrupts(stream.cancel))
        stack.callback(board.clear)
        try:
            for event in stream:
                if not isinstance(event, ChainStarted):  # until then nothing came of any
                    progress.clear()
                board.show(event)
        except ServerError as error:
            stream.close()
            if stream.solution.candidates:
                raise _FailedVote(stream.solution, error) from None
            raise
        return stream.solution


def parallel_of(text: str) -> int | Literal["auto"]:
    """The number of chains at a time, or "auto"; raises BadSetting."""
    if text == "auto":
        return "auto"
    if not text.isascii() or not text.isdigit():
        raise BadSetting("parallel", text, "has to be a whole number or auto")
    return int(text)


def room_for(parallel: int | str | None, load: LoadChanges) -> LoadChanges:
    """The settings of loading, with places for this many sequences."""
    at_once = parallel if isinstance(parallel, int) else 1
    return {**load, "n_seq_max": max(LoadSettings().n_seq_max, at_once)}


def to_json(solution: Solution) -> str:
    """The solution as one line of JSON."""
    whole = asdict(solution)
    whole["tokens"]["total"] = solution.tokens.total
    return output.json_line(whole)
