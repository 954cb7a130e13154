"""Ollama's API around replies: which models there are, and what they can do."""

from __future__ import annotations

import re
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from minireason.errors import shown
from minireason.models import catalog
from minireason.server.base import ModelEntry, Models, Server
from minireason.server.body import read
from minireason.server.model_facts import Facts, facts
from minireason.server.ollama import schemas as ollama_schemas
from minireason.server.ollama.chat import ChatBody, chat
from minireason.server.ollama.generate import GenerateBody, generate
from minireason.server.ollama.options import model_name
from minireason.server.ollama.wire import ChatWire, line
from minireason.server.operation import Operation
from minireason.server.times import rfc3339
from minireason.server.waiting import in_thread
from minireason.version import __version__
from minireason.wire.body import Body
from minireason.wire.errors import ApiError

API_VERSION = "0.40.0"
"""The version of Ollama whose API this is; clients look at it for what they may ask."""

FOREVER = 11_000_000_000.0
"""When a model is unloaded that is kept, in seconds since 1970: so late that clients say so."""

LEVELS = (True, False, "low", "medium", "high", "max")
"""What `think` may be."""

_BLOBS = "/api/blobs/{digest}"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}")


class NameBody(Body):
    """A body that names a model; older clients say `name`."""

    model: str | None = None
    name: str | None = None
    stream: bool | None = None


def routes() -> list[Route]:
    """What this API answers."""
    elsewhere = ("/api/create", "/api/push", "/api/copy", _BLOBS)
    return [
        Route("/api/chat", chat, methods=["POST"]),
        Route("/api/generate", generate, methods=["POST"]),
        Route("/api/tags", tags, methods=["GET"]),
        Route("/api/show", show, methods=["POST"]),
        Route("/api/ps", running, methods=["GET"]),
        Route("/api/version", version, methods=["GET"]),
        Route("/api/pull", pull, methods=["POST"]),
        Route("/api/delete", manage, methods=["DELETE"]),
        *(Route(path, manage, methods=["POST", "HEAD"]) for path in elsewhere),
        *(Route(path, embed, methods=["POST"]) for path in ("/api/embed", "/api/embeddings")),
    ]


def operations() -> list[Operation]:
    """What the OpenAPI document says of it."""
    error, lines = ollama_schemas.ERROR, ChatWire.media_type
    chatted, generated = ollama_schemas.CHAT, ollama_schemas.GENERATION
    shown, pulled = ollama_schemas.SHOWN, ollama_schemas.PULLED
    return [
        Operation("/api/chat", "post", "Chat", chatted, error, ChatBody, lines),
        Operation("/api/generate", "post", "Generation", generated, error, GenerateBody, lines),
        Operation("/api/tags", "get", "All models", ollama_schemas.TAGS, error, statuses=()),
        Operation("/api/ps", "get", "Loaded models", ollama_schemas.RUNNING, error, statuses=()),
        Operation("/api/version", "get", "Version", ollama_schemas.VERSION, error, statuses=()),
        Operation("/api/show", "post", "One model", shown, error, NameBody, statuses=(400, 404)),
        Operation("/api/pull", "post", "Is it here?", pulled, error, NameBody, lines, (400, 404)),
    ]


async def version(request: Request) -> Response:
    """The version of the API, and ours."""
    return JSONResponse({"version": API_VERSION, "minireason": __version__})


async def tags(request: Request) -> Response:
    """All models that requests may name."""
    models: Models = request.app.state.server.models
    listed = [
        {**await _listed(entry), "modified_at": rfc3339(entry.created)}
        for entry in models.entries()
    ]
    return JSONResponse({"models": listed})


async def running(request: Request) -> Response:
    """The models that are loaded."""
    server: Server = request.app.state.server
    keep_s = server.settings.keep_alive_s
    until = rfc3339(FOREVER if keep_s is None else time.time() + keep_s)
    listed = [
        {
            **await _listed(entry),
            "expires_at": until,
            "size_vram": 0,
            "context_length": entry.n_ctx,
        }
        for entry in server.models.entries()
        if entry.loaded
    ]
    return JSONResponse({"models": listed})


async def show(request: Request) -> Response:
    """What a model is and can do."""
    body, _plain = await read(request, NameBody)
    entry = _entry(request.app.state.server.models, body.model or body.name)
    known = await in_thread(facts, entry)
    levels = {"thinking": {"values": LEVELS, "default": True}} if entry.thinks else {}
    return JSONResponse(
        {
            "modelfile": f"# minireason {__version__}\nFROM {entry.name}\n",
            "parameters": _parameters(entry.name),
            "template": known.template,
            "license": known.licence,
            "details": _details(known),
            "model_info": _model_info(entry, known),
            "capabilities": ["completion", *(["thinking"] if entry.thinks else [])],
            "modified_at": rfc3339(entry.created),
            **levels,
        }
    )


async def pull(request: Request) -> Response:
    """Say that a model is there; nothing is fetched over the API."""
    body, _plain = await read(request, NameBody)
    entry = _entry(request.app.state.server.models, body.model or body.name)
    done = {"status": "success", "model": entry.name}
    if body.stream is False:
        return JSONResponse(done)
    return Response(line(done), media_type="application/x-ndjson")


async def manage(request: Request) -> Response:
    """Refuse what changes the models of this machine."""
    problem = "Models are not changed over the API; see minireason pull, import and rm."
    raise ApiError(501, problem, "unsupported")


async def embed(request: Request) -> Response:
    """Refuse embeddings."""
    raise ApiError(501, "The models here give no embeddings.", "unsupported")


def _entry(models: Models, name: str | None) -> ModelEntry:
    """The model of a name, the default one without; raises ApiError 404."""
    wanted = model_name(models, name)
    for entry in models.entries():
        if wanted in (None, entry.name):
            return entry
    advice = "GET /api/tags lists those there are."
    if wanted and _NAME.fullmatch(wanted):
        advice = f"fetch it with: minireason pull {wanted}"
    problem = f"There is no model {shown(wanted)} here; {advice}"
    raise ApiError(404, problem, "model_not_found", "model")


async def _listed(entry: ModelEntry) -> dict[str, Any]:
    """A model as lists have it."""
    known = await in_thread(facts, entry)
    digest = {"digest": known.digest} if known.digest else {}
    return {
        "name": entry.name,
        "model": entry.name,
        "size": entry.size_bytes,
        **digest,
        "details": _details(known),
    }


def _details(known: Facts) -> dict[str, Any]:
    return {
        "parent_model": "",
        "format": "gguf",
        "family": known.architecture,
        "families": [known.architecture] if known.architecture else None,
        "parameter_size": parameter_size(known.parameters),
        "quantization_level": known.quant,
    }


def parameter_size(parameters: int) -> str:
    """How many parameters a model has, as a short text such as "1.8B"; "" for none."""
    for size, letter in ((1_000_000_000, "B"), (1_000_000, "M"), (1, "")):
        if parameters >= size:
            return f"{parameters / size:.1f}{letter}"
    return ""


def _model_info(entry: ModelEntry, known: Facts) -> dict[str, Any]:
    """The header of a model's file; without one, as much as there is to say."""
    kind = known.architecture or "unknown"
    return {
        "general.architecture": kind,
        f"{kind}.context_length": entry.n_ctx,
        **known.metadata,
        "general.parameter_count": known.parameters,
    }


def _parameters(name: str) -> str:
    """The settings that a reply has where a request says nothing."""
    settings = catalog.defaults(name)
    given = (("temperature", settings.temperature), ("top_k", settings.top_k))
    return "\n".join(f"{key:<30} {value}" for key, value in (*given, ("top_p", settings.top_p)))
