"""Options for a model that a server runs, instead of one that is loaded here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minireason.cli.options import Asked
from minireason.cli.terminal.progress import Progress
from minireason.errors import UsageError
from minireason.host import files

if TYPE_CHECKING:
    from minireason.reasoner import Reasoner

_MAX_KEY_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """Where the model is, if it is not on this machine."""

    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Ask a model of a server, such as http://HOST:8000/v1. The API key, if it needs "
            "one, is that of $MINIREASON_API_KEY.",
            show_default=False,
        ),
    ] = None
    api_key_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="With --url: the file with the API key.", show_default=False
        ),
    ] = None

    def model_name(self, asked: Asked) -> str:
        """The model asked for, or the best one here; "" for the only one of a server.

        Raises UsageError for options that make no sense together.
        """
        if self.url is None:
            if self.api_key_file is not None:
                raise UsageError("--api-key-file is for the server of --url; give that too.")
            return asked.model_name()
        if asked.load:
            raise UsageError(
                "With --url the server has loaded the model; leave out options of loading."
            )
        if asked.offline:
            raise UsageError(
                "--offline uses no network, and --url needs it; leave out one of them."
            )
        return asked.model or ""

    def open(self, name: str, progress: Progress, load_here: Callable[[], Reasoner]) -> Reasoner:
        """The model of this name: of the server, or else loaded here."""
        if self.url is None:
            progress.loading(name)
            return load_here()
        from minireason.reasoner import connect

        progress.say("connecting ...")
        return connect(self.url, name or None, self._key())

    def _key(self) -> str | None:
        """The key in the file, None without one; raises UsageError, which never shows it."""
        if self.api_key_file is None:
            return None
        try:
            key = files.read_bytes(Path(self.api_key_file), _MAX_KEY_BYTES).decode().strip()
        except OSError as error:
            problem = f"could not be read ({error.strerror or error}); give the path of a file"
            raise UsageError(f"The key file {self.api_key_file} {problem}.") from None
        except ValueError:
            key = ""
        if not key:
            raise UsageError(f"The key file {self.api_key_file} holds no key; put it there alone.")
        return key
