"""Tools, which no model is given yet: refused, or ignored where that is the policy."""

from __future__ import annotations

from minireason.wire.errors import ApiError
from minireason.wire.policy import Policy


def refuse_tools(policy: Policy, what: str, param: str) -> None:
    """Raise ApiError 400 for something of tools in a request, unless tools are ignored."""
    if not policy.ignore_tools:
        problem = f"{what} cannot be used. Tools are not supported yet; {policy.tools_advice}."
        raise ApiError(400, f"{param}: {problem}", "unsupported", param)
