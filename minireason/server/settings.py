"""How the server is started."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast, get_args

from minireason.checks import Rule, check_fields, number, one_of, text, texts, whole, yes_or_no
from minireason.settings import LoadChanges, LoadSettings
from minireason.wire.policy import USUAL_FIELD, ReasoningField


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """What `minireason serve` was asked for. Raises BadSetting."""

    models: tuple[str, ...] = ()
    """Names or paths; the first answers requests that name none. Defaults to the best installed."""

    host: str = "127.0.0.1"
    """The address to listen on. Defaults to 127.0.0.1."""

    port: int = 8181
    """The port to listen on; 0 takes a free one. Defaults to 8181."""

    api_keys: tuple[str, ...] = ()
    """Keys of which a request has to bring one; none are needed where there are none."""

    allow_hosts: tuple[str, ...] = ()
    """Names that a request may call this server by, beside loopback's and `host`."""

    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may use the server, such as https://app.example."""

    keep_alive_s: float | None = None
    """Seconds without a request after which a model is unloaded; None: never. Defaults to None."""

    reasoning_field: ReasoningField = USUAL_FIELD
    """Where a chat completion has its thought. Defaults to "both"."""

    ignore_tools: bool = False
    """Whether `tools` of a request are ignored instead of refused. Defaults to False."""

    sessions: bool = False
    """Whether the page keeps conversations in the session files. Defaults to False."""

    log_prompts: bool = False
    """Whether prompts and replies are in the log. Defaults to False."""

    max_waiting: int = 64
    """Requests of one key that may wait for a place; more are sent away with 503.

    Defaults to 64.
    """

    max_wait_s: float = 300.0
    """Seconds that a request waits for a place at most, then 503. Defaults to 300."""

    max_body_bytes: int = 16 * 2**20
    """The largest body of a request, else 413. Defaults to 16 MiB."""

    read_timeout_s: float = 30.0
    """Seconds for the head of a request, and for its body, before it is closed. Defaults to 30."""

    write_timeout_s: float = 60.0
    """Seconds that a client may take nothing of a stream before it is closed. Defaults to 60."""

    ping_s: float = 15.0
    """Seconds without an event after which a stream gets a comment. Defaults to 15."""

    stop_after_s: float = 5.0
    """Seconds that replies may go on once the server is to stop. Defaults to 5."""

    load: LoadChanges = field(default_factory=LoadChanges)
    """How models are loaded."""

    def __post_init__(self) -> None:
        check_fields(self, _RULES)

    @property
    def tools_advice(self) -> str:
        """What is said to do where tools are refused."""
        return "ask without them, or start the server with --ignore-tools, which leaves them out"


def _origins(value: Any) -> tuple[str, ...]:
    origins: tuple[str, ...] = texts(at_least=0)(value)
    if not all(origin in ("*", "null") or "://" in origin for origin in origins):
        raise ValueError("has to be an origin such as https://app.example, or * for all")
    return origins


def _seconds(value: Any) -> float:
    try:
        kept: float = number(0, _FOR_EVER_S)(value)
    except ValueError:
        raise ValueError("has to be a number of seconds, such as 300; 0 is at once") from None
    return kept


def _load(value: Any) -> LoadChanges:
    LoadSettings.of(value)
    return cast("LoadChanges", dict(value))


_FOR_EVER_S = 1e9
_RULES: dict[str, Rule] = {
    "models": texts(at_least=0),
    "host": text,
    "port": whole(0, 65_535),
    "api_keys": texts(at_least=0),
    "allow_hosts": texts(at_least=0),
    "cors_origins": _origins,
    "keep_alive_s": _seconds,
    "reasoning_field": one_of(get_args(ReasoningField)),
    "ignore_tools": yes_or_no,
    "sessions": yes_or_no,
    "log_prompts": yes_or_no,
    "max_waiting": whole(0),
    "max_wait_s": number(0, _FOR_EVER_S),
    "max_body_bytes": whole(1),
    "read_timeout_s": number(0, _FOR_EVER_S, above=True),
    "write_timeout_s": number(0, _FOR_EVER_S, above=True),
    "ping_s": number(0, _FOR_EVER_S, above=True),
    "stop_after_s": number(0, _FOR_EVER_S),
    "load": _load,
}
