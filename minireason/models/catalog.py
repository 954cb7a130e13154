"""The models that have a name: those of models.toml, and files of the Hub by their address.

The package brings one models.toml; another in the config directory adds entries or replaces those
of the same name. An entry of it that makes no sense is left out and told by `problems`, so that it
costs no other model.
"""

from __future__ import annotations

import difflib
import functools
from importlib import resources
from pathlib import Path
from typing import cast

from minireason.errors import BadCatalog, UnknownModel
from minireason.host import paths, state
from minireason.models.catalog_file import Catalog, parse
from minireason.models.hub_name import HUB_PREFIX, from_hub
from minireason.models.spec import ModelSpec, Quant
from minireason.settings import Changes, Settings


def load() -> tuple[ModelSpec, ...]:
    """Every model with a name, in the order of models.toml, the user's additions last.

    See `problems` for what is left out.
    """
    return tuple((_packaged().specs | _own().specs).values())


def problems() -> tuple[BadCatalog, ...]:
    """What is wrong with the user's models.toml, one for each entry that is left out."""
    return _own().problems


def own_path() -> Path:
    """The user's models.toml."""
    return paths.config_dir() / "models.toml"


def quality(quant: str) -> str:
    """A word on what a quantization costs in quality."""
    return _packaged().quality.get(quant, "")


def find(name: str) -> tuple[ModelSpec, Quant | None]:
    """The model meant by a name, and its quant if one was named.

    The name is "name", "name:QUANT" (any case) or hf:owner/repo/file.gguf. Raises UnknownModel with
    the nearest names or quants, or BadCatalog where the user's models.toml may have meant it.
    """
    if name.strip().startswith(HUB_PREFIX):
        spec = from_hub(name.strip())
        return spec, spec.quants[spec.default_quant]
    requested, _, quant_name = name.strip().lower().partition(":")
    specs = load()
    names = tuple(spec.name for spec in specs)
    known = {alias: spec for spec in specs for alias in (spec.name.lower(), *spec.aliases)}
    if requested not in known:
        _raise_problem_of(requested)
        size_as_tag = known.get(f"{requested}-{quant_name}")  # Ollama's deepseek-r1:7b
        near = [size_as_tag.name] if size_as_tag else difflib.get_close_matches(requested, known, 2)
        raise UnknownModel(name, tuple(near), names)
    spec = known[requested]
    quants = {label.lower(): quant for label, quant in spec.quants.items()}
    if quant_name and quant_name not in quants:
        raise UnknownModel(name, tuple(f"{spec.name}:{label}" for label in spec.quants), names)
    return spec, quants.get(quant_name)


def _raise_problem_of(name: str) -> None:
    """Raise what keeps a model of this name from being in the user's models.toml, if anything."""
    for problem in problems():
        if not problem.field or problem.field.lower().removeprefix(name)[:1] in ("", "."):
            raise problem


def bare_questions(label: str) -> bool:
    """Whether a loaded model wants questions without an instruction for the answer's form.

    By its label: name, name:QUANT or file name.
    """
    return any(spec.bare_questions for spec in _labelled(label))


def thinks(label: str) -> bool:
    """Whether a loaded model, by its label, is known to think, whatever its template says."""
    return any(spec.thinks for spec in _labelled(label))


def opens(label: str) -> bool:
    """Whether the prompts of a model, by its label, are known to open its thought.

    Those of R1's format do, and what thinks without a tag in its template is taken to.
    """
    return any(spec.thinks or spec.format == "r1" for spec in _labelled(label))


def defaults(label: str) -> Settings:
    """The settings of a loaded model, by its label, where its caller says nothing.

    They are ours but for the `sampling` of its entry.
    """
    sampling = next((spec.sampling for spec in _labelled(label) if spec.sampling), {})
    whole = {"top_k": int(sampling["top_k"])} if "top_k" in sampling else {}
    return Settings().changed(cast("Changes", {**sampling, **whole}))


def _labelled(label: str) -> list[ModelSpec]:
    """The entries that a loaded model may be of."""
    names = {label.partition(":")[0], label.rpartition("/")[2]}
    return [spec for spec in load() if names & {spec.name, *_file_names(spec)}]


def _file_names(spec: ModelSpec) -> set[str]:
    return {Path(file).name for quant in spec.quants.values() for file in quant.files}


@functools.cache
def _packaged() -> Catalog:
    """The package's models.toml; in a source tree it lies at the repository's root."""
    packaged = resources.files("minireason").joinpath("models.toml")
    if packaged.is_file():
        return parse(packaged.read_text("utf-8"), "models.toml")
    text = (Path(__file__).parents[2] / "models.toml").read_text("utf-8")
    return parse(text, "models.toml")


def _own() -> Catalog:
    """The user's models.toml, read at each call, so that a change counts at once."""
    path = own_path()
    text = state.read_text(path)
    if text.problem:
        return Catalog({}, {}, (BadCatalog(str(path), None, "", text.problem),))
    return parse(text.value, str(path)) if text.value else Catalog({}, {}, ())
