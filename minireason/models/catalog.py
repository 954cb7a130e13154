"""models.toml -> ModelSpec: which models have a name, and which files belong to it."""

from __future__ import annotations

import difflib
import functools
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from minireason.errors import UnknownModel


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A named model: `files` maps a quant to its published file name; a built-in one comes inside the package.

    `bare_questions` says that it was trained on questions without an instruction for the form of the answer.
    """

    name: str
    aliases: tuple[str, ...]
    params: int
    files: dict[str, str]
    default_quant: str
    built_in: bool
    bare_questions: bool


@functools.cache
def load() -> tuple[ModelSpec, ...]:
    """Every model of models.toml, in its order."""
    return tuple(
        ModelSpec(
            name,
            tuple(entry["aliases"]),
            entry["params"],
            entry["files"],
            entry["default"],
            entry.get("built_in", False),
            entry.get("bare_questions", False),
        )
        for name, entry in tomllib.loads(_text()).items()
    )


def bare_questions(label: str) -> bool:
    """Whether a loaded model, by its label (name, name:QUANT or file name), wants questions without an instruction."""
    return any(spec.bare_questions and label.partition(":")[0] in (spec.name, *spec.files.values()) for spec in load())


def _text() -> str:
    """models.toml from the package, or from the repository's root when the source tree itself is imported."""
    packaged = resources.files("minireason").joinpath("models.toml")
    if packaged.is_file():
        return packaged.read_text("utf-8")
    return (Path(__file__).parents[2] / "models.toml").read_text("utf-8")


def resolve(name: str) -> tuple[ModelSpec, str | None]:
    """The model meant by "name" or "name:QUANT" (any case), and the quant if one was named; raises UnknownModel."""
    wanted, _, quant = name.strip().lower().partition(":")
    known = {alias: spec for spec in load() for alias in (spec.name, *spec.aliases)}
    spec = known.get(wanted)
    if spec is None:
        raise UnknownModel(name, tuple(difflib.get_close_matches(wanted, known, 2)), tuple(spec.name for spec in load()))
    if quant and quant.upper() not in spec.files:
        raise UnknownModel(name, tuple(f"{spec.name}:{quant}" for quant in spec.files), tuple(spec.name for spec in load()))
    return spec, quant.upper() or None
