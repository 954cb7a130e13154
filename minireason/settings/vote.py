"""How many chains think about a question, and when their vote is over."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias, TypedDict, get_args

from minireason.checks import Rule, check_fields, check_names, number, one_of, text, whole
from minireason.settings.reply import ChainChanges, Changes, Settings, kept

StopRule: TypeAlias = Literal["none", "lead", "beta"]


class VoteChanges(TypedDict, total=False):
    """Changes to `VoteSettings`, field by field."""

    samples: int
    parallel: int | Literal["auto"]
    stop: StopRule
    min_votes: int
    stop_threshold: float
    budget_tokens: int | None
    budget_s: float | None
    instruction: str | None


class SolveChanges(ChainChanges, VoteChanges, total=False):
    """The keyword arguments of `solve`: `VoteSettings`, and `Settings` all but its `stop`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteSettings:
    """Self-consistency: how many chains answer, and when their vote is over. Raises BadSetting."""

    samples: int = 8
    """Chains that are planned, each an independent reply with one vote. Defaults to 8."""

    parallel: int | Literal["auto"] = "auto"
    """Chains that run at a time, in one batch.

    "auto" runs as many as memory holds and this machine gains from. Defaults to "auto".
    """

    stop: StopRule = "lead"
    """The rule of early stopping: "none", "lead" or "beta".

    "none" lets every chain run. "lead" ends the vote once its outcome is certain. "beta" also ends
    it once the leader would very probably stay the leader if all chains ran, see `min_votes` and
    `stop_threshold`. It looks at the first chains in the planned order alone, so that it has no
    preference for short ones; at worst about one vote in a hundred ends otherwise than with all
    chains, see `minireason/voting/stopping.py`. Defaults to "lead".
    """

    min_votes: int = 4
    """The votes from which on the rule "beta" may end the vote. Defaults to 4."""

    stop_threshold: float = 0.992
    """The probability that the leader stays the leader at which "beta" stops. Defaults to 0.992."""

    budget_tokens: int | None = None
    """Tokens of all chains together at which the vote ends, whatever its state.

    A landing that is put in just then may go over them. None sets no limit. Defaults to None.
    """

    budget_s: float | None = None
    """Seconds at which the vote ends, whatever its state. None sets no limit. Defaults to None."""

    instruction: str | None = None
    """Text that is added to the question, to ask for one form of the answer.

    None adds what the model was trained with. Defaults to None.
    """

    def __post_init__(self) -> None:
        check_fields(self, _RULES)

    @staticmethod
    def split(changes: SolveChanges) -> tuple[VoteSettings, Changes]:
        """The vote's settings, and the changes to each chain's.

        Raises BadSetting for a name that does not exist.
        """
        own = [field.name for field in fields(VoteSettings)]
        check_names(changes, [*own, *(field.name for field in fields(Settings))])
        vote: Any = {name: value for name, value in changes.items() if name in own}
        chain: Any = {name: value for name, value in changes.items() if name not in own}
        return VoteSettings(**vote), kept(chain)


_RULES: dict[str, Rule] = {
    "samples": whole(1, 10_000),
    "parallel": one_of(("auto",), whole(1, 256)),
    "stop": one_of(get_args(StopRule)),
    "min_votes": whole(1),
    "stop_threshold": number(0.5, 1),
    "budget_tokens": whole(1),
    "budget_s": number(0, 1e9),
    "instruction": text,
}
