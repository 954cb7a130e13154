"""minireason serve: models over HTTP, for whatever client there is."""

from __future__ import annotations

import logging
import os
import socket
import stat
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from minireason.cli import load_options
from minireason.cli.completion import complete_model
from minireason.cli.grouped import expand
from minireason.cli.load_options import LoadOptions
from minireason.cli.terminal.progress import Progress
from minireason.errors import UsageError
from minireason.host import files
from minireason.server.settings import ServerSettings
from minireason.wire.policy import ReasoningField

_DEFAULTS = ServerSettings()
_EXTRA = ("starlette", "uvicorn", "prometheus_client", "pydantic", "llguidance", "jsonschema")
_MOST_KEY_BYTES = 2**20
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving(LoadOptions):
    """The options of the server; None where the user said nothing. Raises BadSetting.

    A field with the name of one in `ServerSettings` changes that one.
    """

    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME",
            autocompletion=complete_model,
            help="Name of a model, or path of a .gguf file; give it once for each. The first is "
            "loaded at once, and answers requests that name none. Default: "
            f"${load_options.MODEL_VARIABLE}, else the best installed model that fits.",
            show_default=False,
        ),
    ] = None
    host: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen on, 0.0.0.0 for all; beyond this machine it needs "
            f"--api-key-file. Default: {_DEFAULTS.host}.",
            show_default=False,
        ),
    ] = None
    port: Annotated[
        int | None,
        typer.Option(
            help=f"Port to listen on; 0 takes a free one. Default: {_DEFAULTS.port}.",
            show_default=False,
        ),
    ] = None
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="File with keys, of which a request has to bring one: one a line, # begins a "
            "comment. Nobody else may be able to read it.",
            show_default=False,
        ),
    ] = None
    allow_hosts: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            metavar="NAME",
            help="A further name of this server, such as box.local; give it once for each.",
            show_default=False,
        ),
    ] = None
    cors_origins: Annotated[
        list[str] | None,
        typer.Option(
            "--cors-origin",
            metavar="ORIGIN",
            help="An origin whose pages may use the server, such as https://app.example; give it "
            "once for each.",
            show_default=False,
        ),
    ] = None
    keep_alive_s: Annotated[
        float | None,
        typer.Option(
            "--keep-alive",
            metavar="SECONDS",
            help="Unload a model that nobody has used for so long. Default: never.",
            show_default=False,
        ),
    ] = None
    reasoning_field: Annotated[
        str | None,
        typer.Option(
            metavar="WHERE",
            help="Where a chat completion has its thought: "
            f"{', '.join(get_args(ReasoningField))}. Default: {_DEFAULTS.reasoning_field}.",
            show_default=False,
        ),
    ] = None
    sessions: Annotated[
        bool, typer.Option("--sessions", help="Let the page keep conversations as chat does.")
    ] = False
    ignore_tools: Annotated[
        bool,
        typer.Option("--ignore-tools", help="Ignore the tools of a request instead of refusing."),
    ] = False
    log_prompts: Annotated[
        bool, typer.Option("--log-prompts", help="Write prompts and replies to the log.")
    ] = False
    offline: load_options.Offline = False

    n_seq_max: Annotated[
        int | None,
        typer.Option(
            "--slots",
            metavar="N",
            help="The most replies of a model at once; others wait. Default: 16.",
            show_default=False,
            rich_help_panel="Loading",
        ),
    ] = None

    def __post_init__(self) -> None:
        LoadOptions.__post_init__(self)
        _ = self.settings()

    def settings(self, **more: Any) -> ServerSettings:
        """What was asked for, and more."""
        names = [field.name for field in fields(ServerSettings)]
        said = {name: value for name in names if (value := getattr(self, name, None)) is not None}
        lists = {name: tuple(value) for name, value in said.items() if isinstance(value, list)}
        given = {**said, **lists, "load": self.load, **more}
        return ServerSettings(**{name: value for name, value in given.items() if name in names})


@expand
def serve(*, asked: Serving) -> int:
    """Serve models over HTTP, as OpenAI, Anthropic and Ollama do.

    One line on standard output tells the address, once requests are answered; the log goes to
    standard error. Ctrl-C ends it, and lets replies go on for some seconds.
    """
    _check_extra()
    from minireason.server import server

    keys = _keys(asked.api_key_file) if asked.api_key_file else ()
    settings = asked.settings(api_keys=keys)
    server.check(settings)
    with server.listen(settings) as bound:
        settings = asked.settings(
            api_keys=keys, models=settings.models or (load_options.default_model_name(),)
        )
        _run(settings, bound)
    return 0


def _run(settings: ServerSettings, bound: socket.socket) -> None:
    """Load the first model, then serve until a signal says otherwise."""
    from minireason.server import app, models, server

    _log_to_standard_error()
    pool, progress = models.ModelPool(settings), Progress()
    try:
        progress.loading(settings.models[0])
        name = pool.load_first(progress.loaded_share)
    finally:
        progress.clear()
    ready = f"minireason serves {name} at {server.url_of(bound)}"
    server.run(app.create_app(settings, pool), bound, lambda: print(ready, flush=True))


def _check_extra() -> None:
    if not all(map(find_spec, _EXTRA)):
        raise UsageError(
            "The server needs the extra `server`; "
            "install it with: pip install 'minireason[server]'."
        )


def _keys(path: Path) -> tuple[str, ...]:
    """The keys in a file that is its owner's alone; raises UsageError."""
    try:
        text = files.read_bytes(path, _MOST_KEY_BYTES).decode("utf-8")
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise UsageError(f"The keys in {path} cannot be read ({reason}).") from None
    if os.name == "posix" and mode & _OTHERS:
        raise UsageError(f"Others can read the keys in {path}; first run: chmod 600 {path}")
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    keys = tuple(dict.fromkeys(filter(None, lines)))
    if not keys:
        raise UsageError(f"There is no key in {path}; write one a line.")
    if not all(key.isascii() and key.isprintable() and " " not in key for key in keys):
        raise UsageError(f"A key in {path} is no single word of ASCII; mend it there.")
    return keys


def _log_to_standard_error() -> None:
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING)
    logging.getLogger("minireason.server").setLevel(logging.INFO)
