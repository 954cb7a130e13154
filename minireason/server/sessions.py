"""The session files of `minireason chat`, for the page: listed, read, written whole, removed.

Only where the server was started with --sessions. Names are those of `minireason sessions`; what
could be a path is none.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from minireason.conversation import transcript
from minireason.conversation.history import History, Turn
from minireason.errors import SessionError, shortened, shown
from minireason.server.body import read
from minireason.server.waiting import in_thread
from minireason.wire.body import Body
from minireason.wire.errors import ApiError

_NAME = re.compile(r"\w[\w .-]{0,99}")
_SHOWN_OF_A_QUESTION = 60


class TurnBody(Body):
    """A question and what came of it."""

    question: str
    thinking: str = ""
    answer: str = ""


class SessionBody(Body):
    """A whole conversation; what the server knows more of a turn that was there before is kept."""

    turns: list[TurnBody]
    model: str | None = None


def routes() -> list[Route]:
    """`/sessions` and `/sessions/{name}`."""
    return [
        Route("/sessions", _list, methods=["GET"]),
        Route("/sessions/{name}", _one, methods=["GET", "PUT", "DELETE"]),
    ]


async def _list(_request: Request) -> Response:
    return JSONResponse({"sessions": await in_thread(_listed)})


async def _one(request: Request) -> Response:
    path = _path(request.path_params["name"])
    if request.method == "PUT":
        body, _ = await read(request, SessionBody)
        await in_thread(_write, path, body)
        return Response(status_code=204)
    if request.method == "DELETE":
        await in_thread(_remove, path)
        return Response(status_code=204)
    return JSONResponse(await in_thread(_read, path))


def _path(name: str) -> Path:
    """The file of a session; raises ApiError for a name that is none."""
    if name.endswith(transcript.SUFFIX) or not _NAME.fullmatch(name):
        problem = f"{shown(name)} cannot be the name of a session."
        raise ApiError(400, problem, "invalid_value", "name")
    return transcript.sessions_dir() / (name + transcript.SUFFIX)


def _listed() -> list[dict[str, Any]]:
    """A line for each session, the last used first; one that cannot be read is left out."""
    listed = []
    for path in transcript.listed():
        try:
            turns = transcript.read(path).history.turns
            updated = path.stat().st_mtime
        except (SessionError, OSError):
            continue
        entry = {"name": path.stem, "title": _title(turns), "updated": updated}
        listed.append({**entry, "turns": len(turns)})
    return listed


def _title(turns: list[Turn]) -> str:
    return shortened(" ".join(turns[0].question.split()), _SHOWN_OF_A_QUESTION) if turns else ""


def _read(path: Path) -> dict[str, Any]:
    history = _history(path)
    return {
        "name": path.stem,
        "title": _title(history.turns),
        "updated": path.stat().st_mtime,
        "system": history.system,
        "turns": [asdict(turn) for turn in history.turns],
    }


def _history(path: Path) -> History:
    if not path.is_file():
        raise ApiError(404, f"There is no session {path.stem}.", "not_found", "name")
    return transcript.read(path).history


def _write(path: Path, body: SessionBody) -> None:
    lock = _locked(path, new=True)
    try:
        before = _history(path) if path.is_file() else History()
        known = {(turn.question, turn.answer): turn for turn in before.turns}
        history = History(system=before.system)
        for turn in body.turns:
            made = known.get((turn.question, turn.answer)) or _turn(turn, body.model or "")
            history.apply(made.step())
        transcript.write(path, history, lock)
    finally:
        lock.release()


def _turn(said: TurnBody, model: str) -> Turn:
    return Turn(
        question=said.question,
        answer=said.answer,
        thinking=said.thinking,
        model=model,
        finish_reason="stop",
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _remove(path: Path) -> None:
    _history(path)
    lock = _locked(path)
    try:
        path.unlink(missing_ok=True)
    finally:
        lock.release()


def _locked(path: Path, *, new: bool = False) -> transcript.Lock:
    """The right to write a file; raises ApiError 409 where a chat has it."""
    try:
        return transcript.Lock(path, new=new)
    except SessionError as error:
        raise ApiError(409, str(error), "session_in_use", "name") from None
