"""Models by name alone, for what takes no path of a file: pull, show and remove."""

from __future__ import annotations

import os

from minireason.errors import NotInstalled, UnknownModel, UsageError
from minireason.host.paths import expanded
from minireason.models import gguf, store
from minireason.models.spec import ModelSpec, Quant


def find(name: str) -> tuple[ModelSpec, Quant | None]:
    """The model that a name means, see `catalog.find`, and the quant if one was named.

    Raises UnknownModel, BadCatalog, or what `refuse_path` does.
    """
    refuse_path(name)
    try:
        return store.find_spec(name)
    except UnknownModel as error:
        raise UnknownModel(error.name, error.nearest, error.known, by_path=False) from None


def refuse_path(name: str) -> None:
    """Say what is true of a path that stands where a name has to; do nothing with a name.

    Raises NotInstalled where there is no such file, ModelFileError where it is no model, and
    UsageError where it is one, or a directory.
    """
    if not store.is_path(name):
        return
    path = expanded(name)
    takes = "this takes the name of a model, as minireason models lists them."
    if not os.path.exists(path):  # False, and no error, for a path that no system allows
        named = name if "://" in name else path
        further = "From the Hub it is hf:owner/repo/file.gguf."
        raise NotInstalled(f"There is no file {named}; {takes} {further}", path.parent)
    if path.is_dir():
        raise UsageError(f"{path} is a directory; {takes}")
    gguf.check(path)
    for manifest in store.manifests():
        if os.path.abspath(path) in (os.path.abspath(file.path) for file in manifest.files):
            raise UsageError(f"{path} is the file of {manifest.label}; give that name instead.")
    raise UsageError(
        f"{path} is a model's file without a name: minireason import gives it one, and "
        "--model runs it as it is."
    )
