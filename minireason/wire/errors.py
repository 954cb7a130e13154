"""What went wrong with a request: a status, a sentence, and a word that programs look at."""

from __future__ import annotations

from dataclasses import dataclass

from minireason.errors import (
    BadSetting,
    ContextFull,
    DoesNotFit,
    MinireasonError,
    ModelFileError,
    NotInstalled,
    SessionError,
    StoreError,
    UnknownModel,
    UsageError,
)


@dataclass
class ApiError(Exception):
    """A request that is not answered; each API writes it in its own shape.

    `code` is OpenAI's where it has one for this; `param` names the field at fault.
    """

    status: int
    message: str
    code: str | None = None
    param: str | None = None
    retry_after_s: int | None = None

    def __str__(self) -> str:
        return self.message

    @property
    def kind(self) -> str:
        """The `type` of an error in the words of OpenAI and Anthropic."""
        return _KINDS.get(
            self.status, "invalid_request_error" if self.status < 500 else "api_error"
        )


RETRY_AFTER_S = 10
"""When whoever is sent away should come again: a short reply takes about as long."""

_KINDS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


def stopping() -> ApiError:
    """What is said to whoever comes while the server ends."""
    return ApiError(503, "The server is stopping.", "server_stopping", retry_after_s=RETRY_AFTER_S)


def api_error(error: Exception) -> ApiError:
    """What to tell of an exception; one that is not ours is told without its text."""
    match error:
        case ApiError():
            return error
        case ContextFull():
            return ApiError(400, str(error), "context_length_exceeded", "messages")
        case UnknownModel():
            return ApiError(404, str(error), "model_not_found", "model")
        case NotInstalled():
            problem = "The file of this model is not there any more; install it again."
            return ApiError(404, problem, "model_not_found", "model")
        case BadSetting(name=name):
            return ApiError(400, str(error), "invalid_value", name)
        case UsageError():
            return ApiError(400, str(error), "invalid_request")
        case DoesNotFit():
            return ApiError(503, str(error), "model_does_not_fit", "model", retry_after_s=60)
        case ModelFileError(path=path, problem=problem):
            return ApiError(500, f"{path.name}: {problem}", "engine_error")
        case StoreError() | SessionError():  # they name directories of this machine
            problem = "A file of the server could not be read or written; its log tells more."
            return ApiError(500, problem, "internal_error")
        case MinireasonError():
            return ApiError(500, str(error), "engine_error")
        case _:
            return ApiError(500, "The server made a mistake; its log tells more.", "internal_error")
