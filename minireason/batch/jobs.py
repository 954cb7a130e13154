"""What a batch is asked: one JSON object a line, each checked before it runs.

    {"id": "q1", "question": "What is 2 + 2?", "effort": "low", "source": "mine"}
    {"messages": [{"role": "user", "content": "What is 3 + 3?"}]}

Beside `question` or `messages` a line may have an `id` (else its number is the id), a `system`
prompt, and any setting by its name. All other keys are copied to the reply.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any, cast

from minireason.batch.ids import Ids
from minireason.batch.lines import Line
from minireason.errors import UsageError, shown
from minireason.host import state
from minireason.messages import Message, as_messages
from minireason.settings import Changes, Settings
from minireason.voting.chain import chain_seed
from minireason.wire.call import Outcome

REPLY, SAMPLE = "reply", "sample"
"""The keys of a reply's line that we write."""

_ASKED = ("id", "question", "messages", "system")
_SETTINGS = tuple(field.name for field in fields(Settings))


@dataclass(frozen=True, slots=True)
class Item:
    """A line of the input."""

    number: int
    """Its place in the file, from 1."""

    id: str | int
    """What its replies are known by."""

    messages: tuple[Message, ...]
    """What is asked."""

    settings: Settings
    """How it is answered: the run's settings with the line's own."""

    further: dict[str, object] = field(default_factory=dict)
    """What is copied to its replies."""

    model: str | None = None
    """The model that the line names; the run's answers, whatever it is."""

    logprobs: int | None = None
    """How many alternatives of each token of the answer are told; in OpenAI's form only."""

    body_of: Callable[[str, Outcome], object] | None = None
    """Makes the body of a reply, of a token for its id and what came; in OpenAI's form only."""


@dataclass(frozen=True, slots=True)
class Job:
    """One reply to an item; `sample` is its number among the item's, from 0."""

    item: Item
    sample: int
    settings: Settings
    """The item's, with the seed of this reply."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for every line that says nothing else."""

    settings: Settings
    system: str | None
    seed: int
    """The seed that those of all replies are made from."""

    samples: int = 1
    """How many replies each item gets."""


def key(name: str | int, sample: int) -> str:
    """The text by which a reply is known: one number or text is never taken for another."""
    return f"{sample} {json.dumps(name)}"


def read_item(line: Line, defaults: Defaults) -> Item:
    """The item on a line; raises UsageError that says what is wrong with it."""
    value = line_object(line.raw)
    name = checked_id(value.get("id", line.number), "id")
    for own in (REPLY, SAMPLE):
        if own in value:
            raise UsageError(f'its key "{own}" is one that the reply has; rename it')
    changes = cast("Changes", {key: value[key] for key in _SETTINGS if key in value})
    return Item(
        number=line.number,
        id=name,
        messages=tuple(_messages(value, defaults.system)),
        settings=defaults.settings.changed(changes) if changes else defaults.settings,
        further={key: own for key, own in value.items() if key not in {*_ASKED, *_SETTINGS}},
    )


def checked_id(name: object, key: str) -> str | int:
    """An id that replies can be known by, from the line's `key`; raises UsageError."""
    if not isinstance(name, str | int) or isinstance(name, bool):
        raise UsageError(f"its {key} is no text and no whole number")
    return name


def jobs(
    lines: Iterator[Line],
    defaults: Defaults,
    done: Ids,
    on_broken: Callable[[int, UsageError], None],
    read: Callable[[Line, Defaults], Item] = read_item,
) -> Iterator[Job]:
    """The replies that are missing, in the order of the lines, which `read` makes items of.

    `done` are the keys of those that there are. A line that makes no sense, or whose id stands on
    an earlier one, is told to `on_broken` with its number. Raises UsageError as `lines` does.
    """
    seen = Ids()
    try:
        for line in lines:
            try:
                item = read(line, defaults)
            except UsageError as problem:
                on_broken(line.number, problem)
                continue
            if not seen.add(json.dumps(item.id)):
                repeated = f"its id {shown(item.id)} is that of an earlier line"
                on_broken(line.number, UsageError(repeated))
                continue
            for sample in range(defaults.samples):
                if key(item.id, sample) not in done:
                    yield Job(item, sample, _seeded(item, sample, defaults))
    finally:
        seen.close()


def _seeded(item: Item, sample: int, defaults: Defaults) -> Settings:
    """The settings of one reply: the first has the seed of its line, if that says one."""
    own = item.settings.seed
    if own is not None and not sample:
        return item.settings
    common = defaults.seed if own is None else own
    return replace(item.settings, seed=chain_seed(common, json.dumps(item.id), sample))


def _messages(value: dict[str, Any], common: str | None) -> list[Message]:
    question, messages = value.get("question"), value.get("messages")
    if question is None and messages is None:
        if is_openai(value):
            raise UsageError(
                "it has the form of OpenAI's batch API, and the first line has not; give each form "
                "a file of its own"
            )
        raise UsageError('it has no "question" and no "messages"')
    if question is not None and messages is not None:
        raise UsageError('it has a "question" and "messages"; leave out one of them')
    if messages is not None and (not isinstance(messages, list) or not messages):
        raise UsageError('its "messages" are no list with something in it')
    if messages is None and not (isinstance(question, str) and question.strip()):
        raise UsageError('its "question" is no text')
    asked, system = as_messages(messages or cast("str", question)), value.get("system", common)
    if not isinstance(system, str | None):
        raise UsageError('its "system" is no text')
    return with_system(asked, system)


def with_system(asked: list[Message], system: str | None) -> list[Message]:
    """The messages, after a system prompt where they begin with none of their own."""
    if system is None or (asked and asked[0]["role"] == "system"):
        return asked
    return as_messages([Message(role="system", content=system), *asked])


def is_openai(value: dict[str, Any]) -> bool:
    """Whether a line has the form of OpenAI's batch API."""
    return "custom_id" in value and "body" in value


def line_object(raw: bytes | None) -> dict[str, Any]:
    """The JSON object on a line; raises UsageError."""
    if raw is None:
        raise UsageError("it is longer than 64 MiB")
    try:
        value = state.parse_json(raw)
    except state.Damaged:
        raise UsageError(state.not_json(raw)) from None
    if not isinstance(value, dict):
        raise UsageError('it is no object like {"question": "..."}')
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:  # Python reads what the reply's line could not say again
        problem = "it has a number that is not finite, or text that is not valid Unicode"
        raise UsageError(problem) from None
    return value
