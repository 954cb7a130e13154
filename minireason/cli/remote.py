"""Options for a model that a server runs, instead of one that is loaded here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from minireason.cli.options import Asked
from minireason.cli.served_names import complete_server
from minireason.cli.terminal.progress import Progress
from minireason.errors import UsageError

if TYPE_CHECKING:
    from minireason.backends.remote.backend import RemoteBackend
    from minireason.backends.remote.connection import Connection
    from minireason.backends.remote.named import Target
    from minireason.reasoner import Reasoner


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """Where the model is, if it is not on this machine; raises UsageError for a key alone."""

    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            autocompletion=complete_server,
            help="The server that runs the model, such as http://HOST:8000/v1, or the name of "
            "one in remotes.toml. The API key, if it needs one, is that of $MINIREASON_API_KEY.",
            show_default=False,
        ),
    ] = None
    api_key_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="With --url: the file with the API key.", show_default=False
        ),
    ] = None

    def __post_init__(self) -> None:
        if self.url is None and self.api_key_file is not None:
            raise UsageError("--api-key-file is for the server of --url; give that too.")

    @property
    def target(self) -> Target:
        """The server; raises UsageError where that is none."""
        from minireason.backends.remote import named

        if self.url is None:
            raise UsageError("There is no server; give one by --url.")
        return named.find(self.url, self.api_key_file)

    def model_name(self, asked: Asked) -> str:
        """The model asked for, or the best one here; "" for the only one of a server.

        Raises UsageError for options that make no sense together, and for a server that is none.
        """
        if self.url is None:
            return asked.model_name()
        if asked.load:
            raise UsageError(
                "With --url the server has loaded the model; leave out options of loading, such as "
                "--ctx and --threads."
            )
        if asked.offline:
            raise UsageError(
                "--offline uses no network, and --url needs it; leave out one of them."
            )
        return asked.model or self.target.model or ""

    def open(
        self,
        name: str,
        progress: Progress,
        load_here: Callable[[], Reasoner],
        parallel: int | Literal["auto"] = "auto",
    ) -> Reasoner:
        """The model of this name: of the server, for so many requests, or else loaded here."""
        if self.url is None:
            progress.loading(name)
            return load_here()
        from minireason.reasoner import Reasoner

        return Reasoner(self.connect(name, progress, parallel))

    def connect(
        self, name: str, progress: Progress, parallel: int | Literal["auto"] = "auto"
    ) -> RemoteBackend:
        """The server's model of this name, for so many requests at a time.

        Raises UsageError, ServerError or NotServed.
        """
        from minireason.backends.remote.backend import MAX_PARALLEL, open_remote

        target = self.target
        progress.say("connecting ...")
        most = MAX_PARALLEL if parallel == "auto" else max(MAX_PARALLEL, parallel)
        model = name or target.model
        return open_remote(target.url, model, target.key, target.flavour, max_parallel=most)

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """A connection to the server itself, whichever of its models is meant.

        Raises UsageError.
        """
        from minireason.backends.remote.connection import Connection

        progress, connection = Progress(), Connection(self.target.place)
        try:
            progress.say("connecting ...")
            yield connection
        finally:
            progress.clear()
            connection.close()
