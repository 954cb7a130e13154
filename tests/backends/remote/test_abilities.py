"""What each kind of server can do: as the page says it, and as requests are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from minireason import Settings, UsageError
from minireason.backends.remote import request as requests
from minireason.backends.remote.abilities import NO, abilities
from minireason.backends.remote.flavours import FLAVOURS, Flavour
from minireason.messages import Message
from tests.docs.blocks import ROOT

PAGE = ROOT / "docs" / "guide" / "remote.md"

CHANGES: dict[str, list[dict[str, Any]]] = {
    "thinking_budget": [{"thinking_budget": 100}],
    "effort": [{"effort": "low"}],
    "thinking=False": [{"thinking": False}],
    "thinking_seconds": [{"thinking_seconds": 5.0}],
    "landing": [{"landing": "So:"}],
    "schema": [{"schema": {"type": "object"}}],
    "choices, regex": [{"choices": ("a", "b")}, {"regex": "a"}],
}


def table() -> dict[str, list[str]]:
    """The rows of the page's table by their first cell."""
    section = PAGE.read_text("utf-8").split("\n## What each kind of server can do\n")[1]
    lines = section.split("\n## ")[0].replace("`", "").splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]
    return {row[0]: row[1:] for row in rows[2:]}


def test_the_page_has_the_table() -> None:
    rows = table()
    assert rows.pop("flavour") == list(FLAVOURS)
    told = [abilities(flavour) for flavour in FLAVOURS.values()]
    assert list(rows) == [ability.setting for ability in told[0]]
    for number, cells in enumerate(rows.values()):
        assert cells == [each[number].way for each in told]


@pytest.mark.parametrize("flavour", FLAVOURS.values(), ids=FLAVOURS)
def test_what_a_kind_cannot_do_is_refused(flavour: Flavour) -> None:
    ways = {ability.setting: ability.way for ability in abilities(flavour)}
    for setting, every in CHANGES.items():
        for changes in every:
            asked = Settings(**changes)
            assert refused(lambda asked=asked: requests.check(flavour, asked)) == (
                ways[setting] == NO
            ), changes
    assert refused(lambda: requests.check_logprobs(flavour, 1)) == (ways["logprobs"] == NO)
    begun = (Message(role="user", content="?"), Message(role="assistant", content="It"))
    request = requests.Request(flavour, "m", begun, Settings(), 1)
    assert refused(request.body) == (ways["begun reply"] == NO)


def refused(act: Callable[[], object]) -> bool:
    """Whether something is refused."""
    try:
        act()
    except UsageError:
        return True
    return False
