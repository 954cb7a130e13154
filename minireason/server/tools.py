"""Tools, which no model is given yet: refused, or ignored where the server was started so."""

from __future__ import annotations

from minireason.server.errors import ApiError
from minireason.server.settings import ServerSettings

_ADVICE = (
    "Tools are not supported yet; ask without them, or start the server with --ignore-tools, which "
    "leaves them out."
)


def refuse_tools(settings: ServerSettings, what: str, param: str) -> None:
    """Raise ApiError 400 for something of tools in a request, unless tools are ignored."""
    if not settings.ignore_tools:
        raise ApiError(400, f"{param}: {what} cannot be used. {_ADVICE}", "unsupported", param)
