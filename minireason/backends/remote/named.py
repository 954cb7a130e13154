"""Servers that the user has given a name: remotes.toml in the configuration directory.

    [gpu]
    url = "http://gpu.example:8000/v1"
    model = "deepseek-r1-32b"
    api_key_env = "GPU_KEY"

A key never stands in it, but in an environment variable or in a file of its own.
"""

from __future__ import annotations

import functools
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minireason.backends.remote.connection import KEY_VARIABLE, Address, address
from minireason.backends.remote.flavours import AUTO, FLAVOURS
from minireason.errors import BadCatalog, UsageError, shortened, shown
from minireason.host import files, paths, state
from minireason.models.toml_table import Table, line_of

_FIELDS = ("url", "model", "flavour", "api_key_file", "api_key_env")
_MAX_KEY_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Target:
    """A server, and what is asked of it; `key` stands in no repr."""

    url: str
    """Where it is."""

    model: str | None = None
    """The model that is meant where nothing else is said."""

    key: str | None = field(default=None, repr=False)
    """The API key."""

    flavour: str = AUTO
    """The kind of server."""

    @property
    def place(self) -> Address:
        """Its address, with this key or else the environment's; raises UsageError."""
        return address(self.url, self.key or os.environ.get(KEY_VARIABLE))


def own_path() -> Path:
    """The user's remotes.toml."""
    return paths.config_dir() / "remotes.toml"


def names() -> list[str]:
    """The names in remotes.toml; raises BadCatalog."""
    return list(_tables()[1])


def find(name: str, key_file: str | None = None, *, key: str | None = None) -> Target:
    """The server at a URL, or of a name in remotes.toml.

    A key goes before a key file, and that before what remotes.toml says of a key. Raises
    UsageError, or BadCatalog where the file or the entry of this name makes no sense; other entries
    are not looked at.
    """
    if "://" in name:
        return Target(name, key=key or (read_key(Path(key_file)) if key_file else None))
    table = _entry(name)
    for given in table.items():
        if given == "api_key":
            problem = "does not belong in this file; give api_key_file or api_key_env instead"
            table.refuse(given, problem)
        if given not in _FIELDS:
            table.refuse(given, f"is no field of a server; known are {', '.join(_FIELDS)}")
    flavour = table.text("flavour", AUTO)
    if flavour not in (AUTO, *FLAVOURS):
        table.refuse("flavour", f"has to be one of {', '.join((AUTO, *FLAVOURS))}")
    own_key = _key(table, is_needed=key_file is None and key is None)
    key = key or (read_key(Path(key_file)) if key_file else own_key)
    return Target(_url(table), table.text("model", "") or None, key, flavour)


def read_key(path: Path) -> str:
    """The key in a file; raises UsageError, which never shows it."""
    try:
        key = files.read_bytes(path, _MAX_KEY_BYTES).decode().strip()
    except OSError as error:
        problem = f"could not be read ({error.strerror or error}); give the path of a file"
        raise UsageError(f"The key file {path} {problem}.") from None
    except ValueError:
        key = ""
    if not key:
        raise UsageError(f"The key file {path} holds no key; put it there alone.")
    return key


def _tables() -> tuple[str, dict[str, Any]]:
    """The text of remotes.toml and its entries."""
    path = own_path()
    text = state.read_text(path)
    if text.problem:
        raise BadCatalog(str(path), None, "", text.problem)
    try:
        return text.value or "", state.parse_toml(text.value or "")
    except state.Damaged as error:
        raise BadCatalog(str(path), None, "", str(error)) from None


def _entry(name: str) -> Table:
    """The entry of a name."""
    path, (text, tables) = own_path(), _tables()
    if name in tables:
        return Table(name, tables[name], functools.partial(line_of, text), str(path))
    named = "That" if "@" in name else shown(name)
    known = f"names {shortened(', '.join(tables), 400)}" if tables else "names no server"
    raise UsageError(
        f"{named} is no URL of a server, such as http://HOST:PORT/v1, and no name either: "
        f"{path} {known}."
    )


def _url(table: Table) -> str:
    url = table.text("url")
    try:
        address(url, None)
    except UsageError:
        problem = "has to be a URL such as http://HOST:PORT/v1, without key, query and fragment"
        table.refuse("url", problem)
    return url


def _key(table: Table, *, is_needed: bool) -> str | None:
    """The key that an entry leads to; what it says is not shown, should that be the key itself."""
    file, variable = table.text("api_key_file", ""), table.text("api_key_env", "")
    if file and variable:
        table.refuse("api_key_env", "stands beside api_key_file; keep one of them")
    if not is_needed or not (file or variable):
        return None
    if variable:
        key = os.environ.get(variable)
        return key or table.refuse(
            "api_key_env", "names an environment variable that is not set; set it"
        )
    key = ""
    with suppress(UsageError):
        key = read_key(paths.config_dir() / paths.expanded(file))
    problem = "has to be the path of a file that can be read and holds the key alone"
    return key or table.refuse("api_key_file", problem)
