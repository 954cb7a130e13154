"""Text files that go with a question."""

from __future__ import annotations

import errno

from minireason.errors import UsageError
from minireason.host import files, paths
from minireason.reasoner import Reasoner

_SAMPLE_CHARS = 100_000
_MAX_BYTES = 64 * 2**20  # four bytes for each token of the largest context that can be asked for


def read(name: str) -> tuple[str, str]:
    """A file's name and text; raises UsageError if it is missing, no text, or enormous."""
    if not name:
        raise UsageError("/file takes the path of a text file.")
    path = paths.expanded(name.strip("\"'"))
    try:
        raw = files.read_bytes(path, _MAX_BYTES)
    except FileNotFoundError:
        raise UsageError(f"There is no file {path}.") from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a directory; name a file in it.") from None
    except OSError as error:
        if error.errno == errno.EFBIG:
            problem = f"{path} has more than {_MAX_BYTES // 2**20} MiB"
            raise UsageError(f"{problem} and does not fit into any prompt.") from None
        raise UsageError(f"{path} cannot be read ({error.strerror}).") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise UsageError(f"{path} is not a text file in UTF-8, so it cannot go into a question.")
    if not text.strip():
        raise UsageError(f"{path} is empty.")
    return path.name, text


def count(reasoner: Reasoner, text: str) -> int:
    """How many tokens a text has, judged by its beginning where it is long."""
    sample = text[:_SAMPLE_CHARS]
    return (
        (reasoner.count_tokens(f"?{sample}") - reasoner.count_tokens("?"))
        * len(text)
        // len(sample)
    )
