"""The model `small`: an entry in the user's own catalogue, and a file on the Hub of these tests."""

from __future__ import annotations

import json

from minireason.host import paths
from minireason.models import catalog, pull, store
from minireason.models.manifests import Manifest
from minireason.models.pull import Watch
from minireason.models.spec import ModelSpec, Quant

KEY = "some/repo/small.gguf"
"""Its file on the Hub."""


def named(
    sha256: tuple[str, ...] = (), files: tuple[str, ...] = ("small.gguf",)
) -> tuple[ModelSpec, Quant]:
    """Write its entry; the model and its quant."""
    paths.config_dir().mkdir(parents=True, exist_ok=True)
    lines = ["[small]", "[small.quants.Q8_0]", 'repo = "some/repo"', f"files = {json.dumps(files)}"]
    lines += [f"sha256 = {json.dumps(sha256)}"] if sha256 else []
    (paths.config_dir() / "models.toml").write_text("\n".join(lines))
    spec, _ = catalog.find("small")
    return spec, spec.quants["Q8_0"]


def get(sha256: tuple[str, ...] = ()) -> Manifest | None:
    """Pull it, and open it nowhere."""
    return pull.pull(*named(sha256), open_once=lambda path: None, watch=Watch())


def nothing_installed() -> bool:
    """Whether no model is installed, and no file of one is left in its place."""
    return (
        not store.installed()
        and not store.manifests()
        and not list(paths.models_dir().glob("*.gguf"))
    )
