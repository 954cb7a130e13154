"""Names of files on the Hub: hf:owner/repo/file.gguf, with @revision after the repository."""

from __future__ import annotations

import re

from minireason.errors import UnknownModel
from minireason.models.spec import ModelSpec, Quant

HUB_PREFIX = "hf:"
_REPO = re.compile(r"[\w.-]+/[\w.-]+")
_REVISION = re.compile(r"[\w][\w.-]*")
_FILE = re.compile(r"[\w][\w.+ -]*(/[\w][\w.+ -]*)*\.gguf")


def from_hub(name: str) -> ModelSpec:
    """The model meant by a name with HUB_PREFIX, of the newest revision or of the one it names.

    Raises UnknownModel.
    """
    owner, _, rest = name.removeprefix(HUB_PREFIX).partition("/")
    repo_name, _, file = rest.partition("/")
    repo_name, _, revision = repo_name.partition("@")
    repo = f"{owner}/{repo_name}"
    if not is_repo(repo) or not is_safe(file) or (revision and not is_revision(revision)):
        raise UnknownModel(name, ("hf:owner/repo/file.gguf",), ())
    quant = Quant("file", repo, (file,), revision or None, 0, True, ())
    return ModelSpec(
        name=name,
        aliases=(),
        params=0,
        licence="see its page on the Hub",
        base="",
        dimensions=None,
        context=0,
        format="template",
        scores={},
        quants={"file": quant},
        default_quant="file",
    )


def is_repo(text: str) -> bool:
    """Whether this can be owner/name of a repository."""
    return bool(_REPO.fullmatch(text))


def is_revision(text: str) -> bool:
    """Whether this can be a commit or a branch."""
    return bool(_REVISION.fullmatch(text))


def is_safe(file: str) -> bool:
    """Whether a file name stays inside the folder that it is put into, and is a .gguf."""
    return bool(_FILE.fullmatch(file)) and ".." not in file
