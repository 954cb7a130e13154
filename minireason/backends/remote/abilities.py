"""What a kind of server makes of each of our settings: the table of docs/guide/remote.md."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from minireason.backends.remote.flavours import Flavour

_CUT = "the request is cut off there, and a second one goes on with the answer"
_HELD = "the server holds the answer to it"
_REFUSED = "refused"
NO = "no"
"""The way of what a kind of server cannot do."""


@dataclass(frozen=True, slots=True)
class Ability:
    """How one setting is followed."""

    setting: str
    """Its name, as in the table."""

    way: str
    """In a word or two: "yes", "field", "cut", ..., or NO."""

    means: str
    """What that means, in a few words."""


def abilities(flavour: Flavour) -> list[Ability]:
    """What a kind of server can do, in the order of the table."""
    return [*_of_thinking(flavour), *_of_answers(flavour)]


def _of_thinking(flavour: Flavour) -> Iterable[Ability]:
    field, cut, request = flavour.budget_field, flavour.can_cut, flavour.control
    yield _ability(
        "thinking_budget",
        (field, "field", "the server is told the tokens, and lands the thought itself"),
        (cut, "cut", _CUT),
    )
    yield _ability(
        "effort",
        (field or cut, "as a budget", "the tokens that the word stands for are the budget"),
        (flavour.effort, "by name", "the server is told the word"),
    )
    yield _ability(
        "thinking=False",
        (field or cut or flavour.thinking_off, "yes", "the answer comes without a thought"),
    )
    yield _ability(
        "thinking_seconds",
        (request, "by request", "a request of its own ends the thought"),
        (cut, "cut", _CUT),
    )
    yield _ability(
        "answer now",
        (request, "by request", "Ctrl-C sends a request that ends the thought"),
        (cut, "cut", "Ctrl-C cuts the request off, and a second one goes on with the answer"),
        otherwise="Ctrl-C ends the reply",
    )
    yield _ability(
        "landing",
        (flavour.landing_field, "yes", "the server is told the words that end a thought"),
        (cut, "cut", "the second request has it"),
    )
    yield _ability(
        "loop_check",
        (flavour.lands_loops, "the server's", "the server makes it, and cannot leave it out"),
        (request, "by request", "made here; a request of its own ends the thought"),
        (cut, "cut", f"made here; {_CUT}"),
        otherwise="not made",
    )


def _of_answers(flavour: Flavour) -> Iterable[Ability]:
    yield _ability("schema", (flavour.schema, "yes", _HELD))
    yield _ability("choices, regex", (flavour.structured_outputs, "yes", _HELD))
    yield _ability(
        "logprobs",
        (flavour.logprobs, flavour.logprobs_where or "yes", "told of the tokens of the answer"),
    )
    yield _ability(
        "confidence",
        (flavour.confidence_field, "told", "the server tells how sure the model was"),
        (flavour.logprobs, "by logprobs", "made of the likeliest of each token"),
        otherwise="a tie of a vote goes to the answer that came first",
    )
    yield _ability(
        "begun reply",
        (flavour.continues is not None, "yes", "a reply that is begun goes on"),
    )


def _ability(setting: str, *ways: tuple[object, str, str], otherwise: str = _REFUSED) -> Ability:
    """The first way, with its meaning, that there is; `otherwise` is what NO means."""
    way, means = next(((way, means) for can, way, means in ways if can), (NO, otherwise))
    return Ability(setting, way, means)
