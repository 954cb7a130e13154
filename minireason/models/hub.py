"""The Hugging Face Hub as seen from here: what a file is, and its bytes from some place on.

huggingface_hub knows URLs, tokens, HF_ENDPOINT and the HTTP session; its download is not used,
since it starts over after a kill and never hashes what it got. It is imported late, because that
takes a third of a second.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from minireason.errors import DownloadFailed, Offline, StoreError
from minireason.host import paths

if TYPE_CHECKING:
    import httpx2

RETRIED_STATUS = frozenset({408, 429, 500, 502, 503, 504})
_KEPT = "what was fetched is kept, pull again."
_MOST_BYTES = 2**50
_SHA256 = re.compile(r"[0-9a-f]{64}")
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII)
# int() and isdigit() also take ² and other scripts' digits
_WHOLE = re.compile(r"\d{1,18}", re.ASCII)
_MEANINGS = {
    401: "the Hub wants a token for it: run `hf auth login` or set HF_TOKEN",
    403: "access is not granted: accept the licence on its page and use your token "
    "(`hf auth login` or HF_TOKEN)",
    404: "there is no such repository, revision or file; check the name",
    416: "the file on the Hub has changed; pull again",
    429: "the Hub asks for a pause (too many requests); try again in a few minutes, with a token "
    "if you have one",
}


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file on the Hub."""

    repo: str
    """The repository, owner/name."""

    file: str
    """Its path there."""

    url: str
    """The address of this revision of it."""

    bytes: int
    """Its size."""

    etag: str
    """A text that changes with the content."""

    sha256: str | None
    """Its hash, which the Hub says of files in its large-file store."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a response says of the bytes in it.

    None is what it does not say, or says in a way that makes no sense.
    """

    start: int | None
    """Where its bytes begin in the file."""

    total: int | None
    """The bytes of the whole file."""

    etag: str
    """A text that changes with the content; "" where there is none."""

    partial: bool
    """Whether it holds a part of the file, and not all of it."""

    @classmethod
    def of(cls, response: httpx2.Response) -> Answer:
        """Read a response's head."""
        said = response.headers.get("Content-Length", "")
        length = int(said) if _WHOLE.fullmatch(said) else None
        etag = response.headers.get("ETag", "").removeprefix("W/").strip('"')
        if response.status_code != 206:
            return cls(0, length, etag, partial=False)
        part = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if not part:
            return cls(None, None, etag, partial=True)
        start, end = int(part[1]), int(part[2])
        total = None if part[3] == "*" else int(part[3])
        if length is not None and length != end - start + 1:
            return cls(None, total, etag, partial=True)
        return cls(start, total, etag, partial=True)


class TryAgain(Exception):
    """The connection or the server failed in a way that may pass.

    `error` is what to raise if it does not.
    """

    def __init__(self, error: StoreError, wait_s: float = 0.0) -> None:
        super().__init__(str(error))
        self.error, self.wait_s = error, wait_s


def describe(repo: str, file: str, revision: str | None) -> RemoteFile:
    """Size and hash of a file, from the Hub's answer to a HEAD request.

    Raises TryAgain, DownloadFailed or Offline.
    """
    import huggingface_hub

    with translated(f"{repo}/{file}"):
        url = huggingface_hub.hf_hub_url(repo, file, revision=revision)
        with _sane(f"{repo}/{file}"):
            answer = huggingface_hub.get_hf_file_metadata(
                url, token=huggingface_hub.get_token(), timeout=timeout_s()
            )
    size, etag = answer.size, answer.etag
    if not size or not 0 < size < _MOST_BYTES or not etag:
        raise DownloadFailed(
            f"{repo}/{file}: the server does not say how long the file is, so it can't be fetched "
            "safely."
        )
    pinned = huggingface_hub.hf_hub_url(repo, file, revision=answer.commit_hash or revision)
    sha256 = etag if _SHA256.fullmatch(etag) else None
    return RemoteFile(repo, file, pinned, size, etag, sha256)


@contextmanager
def ranged(remote: RemoteFile, start: int) -> Iterator[httpx2.Response]:
    """The response with the bytes from `start` on.

    Or with all of them (status 200), where the server has no ranges.
    """
    from huggingface_hub import get_session, get_token

    headers = {"Accept-Encoding": "identity"}
    if token := get_token():  # the HTTP library drops it when it is sent on to another host
        headers["Authorization"] = f"Bearer {token}"
    if start:
        headers["Range"] = f"bytes={start}-"
    what = f"{remote.repo}/{remote.file}"
    with translated(what), ExitStack() as open_until_read:
        with _sane(what):
            asked = get_session().stream("GET", remote.url, headers=headers, timeout=timeout_s())
            response = open_until_read.enter_context(asked)
        response.raise_for_status()
        yield response


@contextmanager
def _sane(what: str) -> Iterator[None]:
    """Say so where the head of an answer cannot be understood.

    It has an address that is none, or a length that is no number.
    """
    import httpx2

    try:
        yield
    except (httpx2.InvalidURL, ValueError) as error:
        raise DownloadFailed(
            f"{what}: the server's answer makes no sense ({_first_line(error)}); check "
            "HF_ENDPOINT and your proxy."
        ) from None


def timeout_s() -> float:
    """Seconds without a byte after which a server counts as stalled: HF_HUB_DOWNLOAD_TIMEOUT."""
    from huggingface_hub import constants

    return float(constants.HF_HUB_DOWNLOAD_TIMEOUT)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn what the HTTP library and huggingface_hub raise into our errors.

    Each says what to do next.
    """
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    if paths.offline():
        raise Offline(f"{what} is not on this machine, and {paths.SWITCHED_OFF}.")
    try:
        yield
    except OfflineModeIsEnabled:
        raise Offline(f"{what} is not on this machine, and HF_HUB_OFFLINE is set.") from None
    except HFValidationError as error:
        raise DownloadFailed(f"{what} is not a name that the Hub allows ({error}).") from None
    except (httpx2.HTTPStatusError, HfHubHTTPError) as error:
        raise _for_status(what, error.response) from None
    except httpx2.TimeoutException:
        stalled = f"{what}: the server sent nothing for {timeout_s():.0f} s; {_KEPT}"
        raise TryAgain(DownloadFailed(stalled)) from None
    except httpx2.TooManyRedirects:
        raise DownloadFailed(
            f"{what}: the server redirects in a circle; check HF_ENDPOINT and your proxy."
        ) from None
    except httpx2.ConnectError as error:
        host = urlsplit(str(error.request.url)).netloc
        unreachable = f"{what} is not on this machine, and {host} can't be reached"
        advice = "check the network, or HF_ENDPOINT."
        raise TryAgain(Offline(f"{unreachable}; {advice}")) from None
    except httpx2.HTTPError as error:
        broken = f"{what}: the connection broke ({_first_line(error)}); {_KEPT}"
        raise TryAgain(DownloadFailed(broken)) from None


def _for_status(what: str, response: httpx2.Response) -> Exception:
    status = response.status_code
    other = "the Hub has trouble; try again later" if status >= 500 else "the Hub refused"
    meaning = _MEANINGS.get(status, other)
    error = DownloadFailed(f"{what}: {meaning} (HTTP {status}).", status)
    if status not in RETRIED_STATUS:
        return error
    wait = response.headers.get("Retry-After", "")
    return TryAgain(error, float(wait) if _WHOLE.fullmatch(wait) else 0.0)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
