"""What those ask who watch over a server: whether it is well, and what it counts."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from minireason.server.base import Server


def routes() -> list[Route]:
    """`/health`, which needs no key and names no model then, and `/metrics`."""
    return [
        Route("/health", _health, methods=["GET"]),
        Route("/metrics", _metrics, methods=["GET"]),
    ]


async def _health(request: Request) -> Response:
    server: Server = request.app.state.server
    body: dict[str, object] = {"status": "ok"}
    if not server.settings.api_keys:
        body["models"] = server.models.loaded()
    return JSONResponse(body)


async def _metrics(request: Request) -> Response:
    server: Server = request.app.state.server
    text, media_type = server.metrics.text()
    return Response(text, media_type=media_type)
