"""GET /openapi.json: what all APIs of the server take and give, as OpenAPI 3.1."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from minireason.server.openai import schemas as openai_schemas
from minireason.server.operation import Operation, Schema
from minireason.version import __version__

PATH = "/openapi.json"

GUARDED = (401, 403, 408, 413, 503)
"""Statuses that every route may answer with, whatever it does; see `guard`."""

_REASONS = {
    400: "The request cannot be used; the error says why",
    401: "No key, or a wrong one",
    403: "A foreign Host or Origin",
    404: "There is no such model",
    408: "The body came too slowly",
    413: "The body is too large",
    500: "The server failed",
    503: "Too many requests wait, or the server stops; Retry-After says when to come again",
}

_REFERENCE = "#/components/schemas/{model}"


def document(described: Sequence[Operation]) -> dict[str, Any]:
    """The OpenAPI document of some routes."""
    bodies = {operation.body for operation in described if operation.body is not None}
    ordered = sorted(bodies, key=lambda body: f"{body.__module__}.{body.__name__}")
    references, definitions = models_json_schema(
        [(body, "validation") for body in ordered], ref_template=_REFERENCE
    )
    schemas = {body: references[(body, "validation")] for body in ordered}
    paths: dict[str, Any] = {}
    for operation in described:
        told = _operation(operation, schemas)
        paths.setdefault(operation.path, {})[operation.method] = told
    return {
        "openapi": "3.1.0",
        "info": {"title": "minireason", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],
    }


def _operation(operation: Operation, schemas: dict[type[BaseModel], Schema]) -> dict[str, Any]:
    content = {"application/json": {"schema": operation.reply}}
    if operation.streams is not None:
        content[operation.streams] = {}
    statuses = sorted({*operation.statuses, *GUARDED})
    told: dict[str, Any] = {
        "summary": operation.summary,
        "responses": {
            "200": {"description": "The reply", "content": content},
            **{str(status): _error(operation, status) for status in statuses},
        },
    }
    if operation.parameters:
        told["parameters"] = [_parameter(name) for name in operation.parameters]
    if operation.body is not None:
        body = {"application/json": {"schema": schemas[operation.body]}}
        told["requestBody"] = {"required": True, "content": body}
    return told


def _error(operation: Operation, status: int) -> dict[str, Any]:
    content = {"application/json": {"schema": operation.error}}
    return {"description": _REASONS.get(status, HTTPStatus(status).phrase), "content": content}


def _parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def route(described: Sequence[Operation]) -> Route:
    """The route of the document, which is made when somebody asks for it."""
    own = Operation(
        PATH, "get", "This document", openai_schemas.DOCUMENT, openai_schemas.ERROR, statuses=()
    )
    made = functools.cache(lambda: document([*described, own]))

    async def openapi(request: Request) -> Response:
        return JSONResponse(made())

    return Route(PATH, openapi, methods=["GET"])
