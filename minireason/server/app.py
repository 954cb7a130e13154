"""The app: every route, what handlers share, and how errors are told."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from minireason.errors import MinireasonError
from minireason.server import apis, page, probes, sessions
from minireason.server.ahead import IdleReader
from minireason.server.base import Models, Server
from minireason.server.guard import GONE, Guard
from minireason.server.metrics import Counters
from minireason.server.places import FairPlaces
from minireason.server.settings import ServerSettings
from minireason.server.shapes import error_response
from minireason.wire.errors import ApiError, api_error

_log = logging.getLogger("minireason.server")

PUBLIC = ("/health", "/")
"""Paths that need no key."""

PUBLIC_FOLDERS = ("/assets/",)
"""What is below these, the files of the page, needs no key either."""


def create_app(settings: ServerSettings, models: Models) -> Starlette:
    """The server as an ASGI app; `models` are closed at its end, its parts are `state.server`."""
    server = _server(settings, models)
    handlers = [ApiError, HTTPException, MinireasonError]
    app = Starlette(
        routes=_routes(settings),
        middleware=[Middleware(Guard, server=server, is_public=_is_public)],
        exception_handlers={**dict.fromkeys(handlers, _tell), ClientDisconnect: _gone},
        lifespan=partial(_lifespan, server),
    )
    app.router.redirect_slashes = False
    app.state.server = server
    return app


def _routes(settings: ServerSettings) -> list[BaseRoute]:
    kept = sessions.routes() if settings.sessions else []
    return [*page.routes(), *probes.routes(), *apis.routes(), *kept]


def _is_public(path: str) -> bool:
    return path in PUBLIC or path.startswith(PUBLIC_FOLDERS)


def _server(settings: ServerSettings, models: Models) -> Server:
    """The parts, each told of those that it needs."""
    places = FairPlaces(
        max_waiting=settings.max_waiting,
        max_wait_s=settings.max_wait_s,
        on_busy=lambda model: ahead.interrupt(model),
        on_idle=lambda model: ahead.resume(model),
    )
    ahead = IdleReader(places.idle)
    models.before_unload = ahead.forget
    metrics = Counters(places.counts, models.loaded)
    return Server(settings, models, places, metrics, ahead)


@asynccontextmanager
async def _lifespan(server: Server, _app: Starlette) -> AsyncIterator[None]:
    await anyio.to_thread.run_sync(server.models.entries)  # headers are read before anybody asks
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.models.run)
            tasks.start_soon(server.ahead.run)
            yield
            server.stop()
            server.ahead.close()
            tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await server.models.aclose()


async def _tell(request: Request, error: Exception) -> Response:
    """An error in the shape of the API that was spoken to."""
    told = api_error(error)
    headers = None
    if isinstance(error, HTTPException):
        told, headers = _of_starlette(request, error), error.headers
    elif isinstance(error, MinireasonError) and told.status >= 500:
        _log.error("request %s failed: %s", request.state.request_id, error)
    response = error_response(request.url.path, told, request.state.request_id)
    response.headers.update(headers or {})
    return response


def _of_starlette(request: Request, error: HTTPException) -> ApiError:
    """What routing says, in a sentence that helps."""
    method, path = request.method, request.url.path
    if error.status_code == HTTPStatus.NOT_FOUND:
        problem = f"There is nothing at {path[:100]}; GET /openapi.json tells what there is."
        return ApiError(404, problem, "not_found")
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("Allow", "")
        problem = f"{path[:100]} does not take {method[:20]}; it takes {allowed}."
        return ApiError(405, problem, "method_not_allowed")
    return ApiError(error.status_code, error.detail)


async def _gone(_request: Request, _error: Exception) -> Response:
    """For the log: the client went away before its body was whole."""
    return Response(status_code=GONE)
