"""The error of a request in the shape of the API that was spoken to."""

from __future__ import annotations

from starlette.responses import JSONResponse

from minireason.server.apis import error_body
from minireason.wire.errors import ApiError


def error_response(path: str, error: ApiError, request_id: str) -> JSONResponse:
    """The response that tells of an error; the path says which API's words are used."""
    headers = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if error.status == 408:
        headers["Connection"] = "close"  # what still comes of the body is no request
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(error_body(path, error, request_id), error.status, headers)
