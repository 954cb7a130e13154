"""A server on loopback that speaks the Hub's protocol as huggingface_hub uses it.

HEAD /owner/repo/resolve/revision/file answers a redirect with X-Repo-Commit, X-Linked-Etag and
X-Linked-Size; GET follows it to a CDN on another host name (localhost), which knows ranges. Faults
can be put in.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from huggingface_hub import constants

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """The server and its knobs. `faults` are used up one for each request of bytes, in order:

    "drop:N" closes the connection after N bytes, "status:N" answers that, "stall" sends half and
    waits, "flip" changes a byte, "norange" ignores the range, "more" sends too much, "byte" sends
    one and breaks off, "etag:X" says another ETag, "start:N" and "total:N" say another place and
    length in Content-Range, "" is none. `always` is the fault of every request once they are used
    up; `location`, `size` and `retry_after` are what the server says instead of the truth.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.faults: list[str] = []
        self.always = ""
        self.location, self.size, self.retry_after = "", "", "0"
        self.head_statuses: list[int] = []
        self.loop = False
        self.etag = ""
        self.warning = ""
        self.pause_s = 0.0
        self.sent_bytes = 0
        self.requests: list[str] = []
        self.cdn_authorizations: list[str | None] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_HEAD(self) -> None:
                hub.answer(self)

            def do_GET(self) -> None:
                hub.answer(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.requests.append(f"{request.command} {request.path}")
        if request.path.startswith("/cdn/"):
            self._bytes(request, self.files[request.path.removeprefix("/cdn/")])
            return
        asked = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", request.path)
        key = f"{asked[1]}/{asked[3]}" if asked else ""
        if request.command == "HEAD" and self.head_statuses:
            self._status(request, self.head_statuses.pop(0))
        elif self.loop:
            self._redirect(request, request.path, {})
        elif key not in self.files:
            self._status(request, 404, {"X-Error-Code": "EntryNotFound"})
        else:
            data = self.files[key]
            etag = self.etag or hashlib.sha256(data).hexdigest()
            facts = {
                **({"X-HF-Warning": self.warning} if self.warning else {}),
                "X-Repo-Commit": COMMIT,
                "X-Linked-Etag": f'"{etag}"',
                "X-Linked-Size": self.size or str(len(data)),
            }
            cdn = f"http://localhost:{self._server.server_port}/cdn/{key}"
            self._redirect(request, self.location or cdn, facts)

    def _status(
        self, request: BaseHTTPRequestHandler, status: int, headers: dict[str, str] | None = None
    ) -> None:
        request.send_response(status)
        for name, value in {"Content-Length": "0", **(headers or {})}.items():
            # as a server may send it, in any bytes
            request.send_header(name, value.encode("utf-8").decode("latin-1"))
        request.end_headers()

    def _redirect(
        self, request: BaseHTTPRequestHandler, location: str, headers: dict[str, str]
    ) -> None:
        self._status(request, 302, {"Location": location, **headers})

    def _bytes(self, request: BaseHTTPRequestHandler, data: bytes) -> None:
        self.cdn_authorizations.append(request.headers.get("Authorization"))
        fault, _, number = (self.faults.pop(0) if self.faults else self.always).partition(":")
        if fault == "status":
            self._status(request, int(number), {"Retry-After": self.retry_after})
            return
        ranged = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range") or "")
        start = int(ranged[1]) if ranged and fault != "norange" else 0
        body = bytearray(data[start:])
        if fault == "flip":
            body[len(body) // 2] ^= 1
        if fault == "more":
            body += b"more"
        request.send_response(206 if start else 200)
        if start:
            first = int(number) if fault == "start" else start
            total = number if fault == "total" else str(len(data))
            request.send_header("Content-Range", f"bytes {first}-{first + len(body) - 1}/{total}")
        etag = number if fault == "etag" else hashlib.sha256(data).hexdigest()
        request.send_header("ETag", f'"{etag}"')
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        stops = {"stall": len(body) // 2, "byte": 1, "drop": int(number) if fault == "drop" else 0}
        stop = stops.get(fault, len(body))
        for at in range(0, stop, 65536):
            chunk = body[at : min(at + 65536, stop)]
            try:
                request.wfile.write(chunk)
            except OSError:
                return
            self.sent_bytes += len(chunk)
            time.sleep(self.pause_s)
        if fault == "stall":
            time.sleep(3)
        if stop < len(body):
            request.close_connection = True
            request.connection.close()


def used(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let huggingface_hub, which has read its environment already, ask this server."""
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
