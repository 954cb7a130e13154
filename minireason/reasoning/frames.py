"""What a model file's template puts before, between and after the contents of a conversation.

Starting the child process that runs a template takes as long as loading a small model. So what
came of it is remembered between runs, for the beginning of a conversation and some turns ahead.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from contextlib import suppress
from pathlib import Path

from minireason.errors import UsageError
from minireason.host import files, state
from minireason.host.paths import data_dir
from minireason.reasoning.template import TemplateError, render_all
from minireason.version import __version__

Roles = tuple[str, ...]
Frame = list[str]
"""The texts around the contents: one more than there are."""

_TURNS_AHEAD = 16
_MAX_ENTRIES = 16
_BEGINNING = 2
"""So many messages a remembered conversation has at most: a system prompt and a question."""

_ASKS_THE_TIME = "strftime_now"


def frames(template: str, roles: Roles, variables: dict[str, str]) -> dict[Roles, Frame]:
    """The frames of conversations with these roles, and of those that go on from them.

    Raises UsageError where the template fails, or does something to a content.
    """
    lasting = len(roles) <= _BEGINNING and _ASKS_THE_TIME not in template
    key = _key(template, roles, variables)
    ahead = [roles + ("assistant", "user") * turns for turns in range(_TURNS_AHEAD + 1)]
    made = _remembered(key, ahead) if lasting else {}
    if roles not in made:
        made = _made(template, ahead, variables)
        if roles not in made:
            raise UsageError(
                "This model's chat template drops, repeats or changes messages, so it is not safe "
                "to use; try without a system prompt."
            )
        if lasting:
            _remember(key, list(made.values()))
    return made


def _made(template: str, ahead: list[Roles], variables: dict[str, str]) -> dict[Roles, Frame]:
    """Run the template with marks in the place of contents; without those that it changes."""
    nonce = secrets.token_hex(8)
    marks = [f"MARK{nonce}N{index}END" for index in range(len(ahead[-1]))]
    wanted = [
        [{"role": role, "content": mark} for role, mark in zip(roles, marks, strict=False)]
        for roles in ahead
    ]
    try:
        rendered = render_all(template, wanted, variables)
    except TemplateError as error:
        raise UsageError(f"This model cannot take the conversation: {error}.") from None
    parted = {
        roles: _split(text, marks[: len(roles)])
        for roles, text in zip(ahead, rendered, strict=False)
    }
    return {roles: frame for roles, frame in parted.items() if frame}


def _split(rendered: str, marks: list[str]) -> Frame:
    """The texts around the marks; none if a mark is not there exactly once and in its place."""
    frame: Frame = []
    for mark in marks:
        before, separator, rendered = rendered.partition(mark)
        if not separator or mark in rendered:
            return []
        frame.append(before)
    return [*frame, rendered]


def _key(template: str, roles: Roles, variables: dict[str, str]) -> str:
    """What a remembered result depends on."""
    parts = [__version__, template, roles, variables, _TURNS_AHEAD]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _remembered(key: str, ahead: list[Roles]) -> dict[Roles, Frame]:
    """What was made in an earlier run; nothing where the file is missing or damaged."""
    for known, texts in _entries():
        if known == key:
            by_length = {len(frame) - 1: frame for frame in texts}
            return {roles: by_length[len(roles)] for roles in ahead if len(roles) in by_length}
    return {}


def _remember(key: str, made: list[Frame]) -> None:
    """Note a result; where nothing may be written, it is made again next time."""
    others = [entry for entry in _entries() if entry[0] != key][1 - _MAX_ENTRIES :]
    with suppress(OSError):
        _file().parent.mkdir(parents=True, exist_ok=True)
        files.write_whole(_file(), json.dumps([*others, (key, made)]).encode())


def _entries() -> list[tuple[str, list[Frame]]]:
    entries = state.read_json(_file(), [list]).value or []
    return [
        (entry[0], entry[1])
        for entry in entries
        if len(entry) == 2 and isinstance(entry[0], str) and state.fits(entry[1], [[str]])
    ]


def _file() -> Path:
    return data_dir() / "templates.json"
