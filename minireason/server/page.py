"""The page of the server: static files, read once, sent with headers that keep strangers out.

Nothing of it comes from another host, and nothing in a reply can run: scripts, styles and fonts are
taken from here alone, and no inline script or style counts.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

FOLDER = Path(__file__).with_name("pages")
INDEX = "index.html"

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
"""What the page is made of; any other file, a licence, is plain text."""

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "font-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Kept, but asked for anew each time: the page and the server change together.
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file of the page as it is sent."""

    data: bytes
    media_type: str
    etag: str
    """The HTTP entity tag, with its quotes: a hash of the data."""


def routes() -> list[Route]:
    """Routes of the page: `/` and `/assets/...`. They need no API key and hold no secret."""
    return [
        Route("/", _index, methods=["GET"]),
        Route("/assets/{name:path}", _asset, methods=["GET"]),
    ]


@lru_cache(maxsize=1)
def page_files() -> dict[str, PageFile]:
    """All files of the page by name, as `app.js` or `vendor/katex/katex.min.js`."""
    paths = (path for path in FOLDER.rglob("*") if path.is_file())
    return {path.relative_to(FOLDER).as_posix(): _read(path) for path in paths}


def _read(path: Path) -> PageFile:
    data = path.read_bytes()
    media_type = MEDIA_TYPES.get(path.suffix, "text/plain; charset=utf-8")
    return PageFile(data, media_type, f'"{hashlib.sha256(data).hexdigest()[:32]}"')


async def _index(request: Request) -> Response:
    return _sent(request, page_files()[INDEX])


async def _asset(request: Request) -> Response:
    file = page_files().get(request.path_params["name"])
    if file is None:
        return PlainTextResponse("The page has no such file.", 404, HEADERS)
    return _sent(request, file)


def _sent(request: Request, file: PageFile) -> Response:
    headers = HEADERS | {"ETag": file.etag}
    if _known(request.headers.get("if-none-match", ""), file.etag):
        return Response(status_code=304, headers=headers)
    return Response(file.data, headers=headers, media_type=file.media_type)


def _known(if_none_match: str, etag: str) -> bool:
    """Whether the client has this file already (RFC 9110, 13.1.2: a weak comparison)."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or "*" in tags
