"""GET /v1/models: the models that requests may name, in the shape of whoever asks."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from minireason.errors import shown
from minireason.server.anthropic.models import is_anthropic, model_body, models_body
from minireason.server.base import ModelEntry, Server
from minireason.server.openai import schemas as openai_schemas
from minireason.server.operation import Operation
from minireason.wire.errors import ApiError

PATH = "/v1/models"


async def models(request: Request) -> Response:
    """All models, the default first."""
    server: Server = request.app.state.server
    entries = server.models.entries()
    if is_anthropic(request):
        return JSONResponse(models_body(entries))
    return JSONResponse({"object": "list", "data": list(map(_told, entries))})


async def model(request: Request) -> Response:
    """One model; raises ApiError 404."""
    server: Server = request.app.state.server
    name = request.path_params["name"]
    for entry in server.models.entries():
        if entry.name == name:
            return JSONResponse(model_body(entry) if is_anthropic(request) else _told(entry))
    problem = f"There is no model named {shown(name)} here; GET {PATH} lists those there are."
    raise ApiError(404, problem, "model_not_found", "model")


async def embeddings(request: Request) -> Response:
    """Refuse embeddings."""
    raise ApiError(501, "The models here give no embeddings.", "unsupported")


def _told(entry: ModelEntry) -> dict[str, Any]:
    return {
        "id": entry.name,
        "object": "model",
        "created": entry.created,
        "owned_by": "minireason",
        "minireason": {"thinks": entry.thinks, "n_ctx": entry.n_ctx, "loaded": entry.loaded},
    }


def routes() -> list[Route]:
    """The routes of models, a name may hold slashes; and what a model is not asked for."""
    return [
        Route(PATH, models, methods=["GET"]),
        Route(f"{PATH}/{{name:path}}", model, methods=["GET"]),
        Route("/v1/embeddings", embeddings, methods=["POST"]),
    ]


def operations() -> list[Operation]:
    """What the OpenAPI document says of them."""
    error = openai_schemas.ERROR
    return [
        Operation(PATH, "get", "All models", openai_schemas.MODELS, error, statuses=()),
        Operation(
            f"{PATH}/{{name}}",
            "get",
            "One model",
            openai_schemas.MODEL,
            error,
            statuses=(404,),
            parameters=("name",),
        ),
    ]
