"""models.toml -> ModelSpec: which models have a name, which files belong to them, and what they cost.

The package brings one; a models.toml in the config directory adds entries or replaces those of the same name. An entry
of it that makes no sense is left out and told by `problems`, so that it costs no other model. Any other file of the Hub
is named as hf:owner/repo/file.gguf.
"""

from __future__ import annotations

import difflib
import functools
import re
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import cast

from minireason.errors import BadCatalog, UnknownModel
from minireason.host import paths, state
from minireason.models.shape import Shape
from minireason.models.tables import Table, line_of
from minireason.settings import Changes, Settings

HUB_PREFIX = "hf:"
_SHARD = re.compile(r"-\d{5}-of-\d{5}(?=\.gguf$)")
_REPO = re.compile(r"[\w.-]+/[\w.-]+")
_FILE = re.compile(r"[\w][\w.+ -]*(/[\w][\w.+ -]*)*\.gguf")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DIMENSIONS = ("layers", "heads", "kv_heads", "head_dim", "hidden", "feed_forward", "vocab")
_REPACKABLE = ("Q4_K_M", "Q4_K_S", "Q4_0", "IQ4_NL")  # see gguf.py
_REVISION = re.compile(r"[\w][\w.-]*")
_MOST_OF_A_SHAPE = 2**31
_PROBLEMS_WITH_A_LINE = 20  # looking for the line of one reads the whole text
_SAMPLING = {"temperature": 100.0, "top_p": 1.0, "top_k": 1e6}
"""The sampling settings that an entry may have, and the largest value of each; `Settings` explains them."""


@dataclass(frozen=True, slots=True)
class Quant:
    """The published files of one quantization; `sha256` is one for each file, or empty where none is published.

    `bytes` is the sum over the files, 0 if unknown; an `approximate` one was computed and is never checked against.
    """

    name: str
    repo: str
    files: tuple[str, ...]
    revision: str | None
    bytes: int
    approximate: bool
    sha256: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A named model; `dimensions` are None where nobody wrote them down, `built_in` ones come inside the package.

    `bare_questions` says that it was trained on questions without an instruction for the form of the answer, `thinks` that it
    thinks though its template does not show it. `sampling` are its makers' temperature, top_p and top_k, where they are others
    than ours; what a caller sets goes before them.
    """

    name: str
    aliases: tuple[str, ...]
    params: int
    licence: str
    base: str
    dimensions: Shape | None
    context: int
    format: str
    scores: dict[str, float]
    quants: dict[str, Quant]
    default_quant: str
    built_in: bool = False
    bare_questions: bool = False
    thinks: bool = False
    sampling: dict[str, float] = field(default_factory=dict)
    source: str = field(default="", compare=False)

    def shape(self, quant: str) -> Shape | None:
        """What the estimate before a download is made of; None where the catalogue does not say enough."""
        if self.dimensions is None or not self.quants[quant].bytes:
            return None
        return replace(
            self.dimensions, weight_bytes=self.quants[quant].bytes, repackable=quant in _REPACKABLE
        )


def load() -> tuple[ModelSpec, ...]:
    """Every model with a name, in the order of models.toml, the user's additions last; see `problems` for what is left out."""
    return tuple((_packaged().specs | _own().specs).values())


def problems() -> tuple[BadCatalog, ...]:
    """What is wrong with the user's models.toml, one for each entry that is left out; none where all is well."""
    return _own().problems


def own_path() -> Path:
    """The user's models.toml."""
    return paths.config_dir() / "models.toml"


def quality(quant: str) -> str:
    """A word on what a quantization costs in quality."""
    return _packaged().quality.get(quant, "")


def find(name: str) -> tuple[ModelSpec, Quant | None]:
    """The model meant by "name", "name:QUANT" (any case) or hf:owner/repo/file.gguf, and the quant if one was named.

    Raises UnknownModel with the nearest names or quants, or BadCatalog where the user's models.toml may have meant it.
    """
    if name.strip().startswith(HUB_PREFIX):
        spec = from_hub(name.strip())
        return spec, spec.quants[spec.default_quant]
    wanted, _, quant = name.strip().lower().partition(":")
    specs = load()
    known = {alias: spec for spec in specs for alias in (spec.name.lower(), *spec.aliases)}
    spec_or_none = known.get(wanted)
    if spec_or_none is None:
        _tell_of(wanted)
        raise UnknownModel(
            name,
            tuple(difflib.get_close_matches(wanted, known, 2)),
            tuple(spec.name for spec in specs),
        )
    quants = {label.lower(): value for label, value in spec_or_none.quants.items()}
    if quant and quant not in quants:
        raise UnknownModel(
            name,
            tuple(f"{spec_or_none.name}:{label}" for label in spec_or_none.quants),
            tuple(spec.name for spec in specs),
        )
    return spec_or_none, quants.get(quant)


def _tell_of(wanted: str) -> None:
    """Raise the problem of the user's models.toml that keeps a model of this name from being found, if there is one."""
    for problem in problems():
        if not problem.field or problem.field.lower().removeprefix(wanted)[:1] in ("", "."):
            raise problem


def bare_questions(label: str) -> bool:
    """Whether a loaded model, by its label (name, name:QUANT or file name), wants questions without an instruction."""
    return any(spec.bare_questions for spec in _labelled(label))


def thinks(label: str) -> bool:
    """Whether a loaded model, by its label as above, is known to think, whatever its template says."""
    return any(spec.thinks for spec in _labelled(label))


def _labelled(label: str) -> list[ModelSpec]:
    """The entries that a loaded model may be of."""
    names = {label.partition(":")[0], label.rpartition("/")[2]}
    return [
        spec
        for spec in load()
        if names & {spec.name, *(Path(file).name for q in spec.quants.values() for file in q.files)}
    ]


def defaults(label: str) -> Settings:
    """The settings of a loaded model, by its label, where its caller says nothing.

    They are ours but for the `sampling` of its entry.
    """
    sampling = next((spec.sampling for spec in _labelled(label) if spec.sampling), {})
    whole = {"top_k": int(sampling["top_k"])} if "top_k" in sampling else {}
    return Settings().changed(cast("Changes", {**sampling, **whole}))


def from_hub(name: str) -> ModelSpec:
    """The model meant by hf:owner/repo/file.gguf, the newest revision or the one after an @; raises UnknownModel."""
    owner, _, rest = name.removeprefix(HUB_PREFIX).partition("/")
    repo_name, _, file = rest.partition("/")
    repo_name, _, revision = repo_name.partition("@")
    repo = f"{owner}/{repo_name}"
    if (
        not _REPO.fullmatch(repo)
        or not is_safe(file)
        or (revision and not _REVISION.fullmatch(revision))
    ):
        raise UnknownModel(name, ("hf:owner/repo/file.gguf",), ())
    quant = Quant("file", repo, (file,), revision or None, 0, True, ())
    return ModelSpec(
        name, (), 0, "see its page on the Hub", "", None, 0, "template", {}, {"file": quant}, "file"
    )


def is_safe(file: str) -> bool:
    """Whether a file name stays inside the folder that it is put into, and is a .gguf."""
    return bool(_FILE.fullmatch(file)) and ".." not in file


@dataclass(frozen=True, slots=True)
class Catalog:
    """What a models.toml says: its models, its words on quality, and a problem for each entry that makes no sense."""

    specs: dict[str, ModelSpec]
    quality: dict[str, str]
    problems: tuple[BadCatalog, ...]


@functools.cache
def _packaged() -> Catalog:
    """models.toml from the package, or from the repository's root when the source tree itself is imported."""
    packaged = resources.files("minireason").joinpath("models.toml")
    text = (
        packaged.read_text("utf-8")
        if packaged.is_file()
        else (Path(__file__).parents[2] / "models.toml").read_text("utf-8")
    )
    return parse(text, "models.toml")


def _own() -> Catalog:
    """The user's models.toml, read at each call, so that a change counts at once; empty where there is none."""
    path = own_path()
    found = state.read_text(path)
    if found.problem:
        return Catalog({}, {}, (BadCatalog(str(path), None, "", found.problem),))
    return parse(found.value, str(path)) if found.value else Catalog({}, {}, ())


@functools.lru_cache(maxsize=2)
def parse(text: str, source: str) -> Catalog:
    """A models.toml; the same text is parsed once."""
    try:
        tables = state.parse_toml(text)
    except state.Damaged as error:
        return Catalog({}, {}, (BadCatalog(source, None, "", str(error)),))
    words = tables.pop("quality", {})
    specs: dict[str, ModelSpec] = {}
    wrong: list[BadCatalog] = []
    for name, table in tables.items():
        searched = text if len(wrong) < _PROBLEMS_WITH_A_LINE else ""
        try:
            specs[name] = _spec(Table(name, table, functools.partial(line_of, searched), source))
        except BadCatalog as error:
            wrong.append(error)
    quality = words if state.fits(words, dict) else {}
    return Catalog(
        specs,
        {quant: word for quant, word in quality.items() if isinstance(word, str)},
        tuple(wrong),
    )


def _spec(table: Table) -> ModelSpec:
    built_in = table.flag("built_in")
    quants = {}
    for name in table.table("quants").items():
        quants[name] = _quant(name, table.table("quants").table(name), built_in)
    if not quants:
        table.refuse("quants", "needs at least one quant")
    default = table.text("default", next(iter(quants)))
    if default not in quants:
        table.refuse("default", f"has to be one of {', '.join(quants)}")
    return ModelSpec(
        name=table.name,
        aliases=tuple(alias.lower() for alias in table.texts("aliases", ())),
        params=table.whole("params", 0),
        licence=table.text("licence", ""),
        base=table.text("base", ""),
        dimensions=_dimensions(table.table("shape"), table.whole("context"))
        if "shape" in table.items()
        else None,
        context=table.whole("context", 0),
        format=table.text("format", "template"),
        scores=table.table("scores", {}).numbers(),
        quants=quants,
        default_quant=default,
        built_in=built_in,
        bare_questions=table.flag("bare_questions"),
        thinks=table.flag("thinks"),
        sampling=_sampling(table.table("sampling", {})),
        source=table.source,
    )


def _sampling(table: Table) -> dict[str, float]:
    values = table.numbers()
    for key, value in values.items():
        if key not in _SAMPLING:
            table.refuse(key, f"is no sampling setting; known are {', '.join(_SAMPLING)}")
        if not 0 <= value <= _SAMPLING[key] or (key == "top_p" and not value):
            table.refuse(key, f"has to be from 0 to {_SAMPLING[key]:g}")
        if key == "top_k" and value != int(value):
            table.refuse(key, "has to be a whole number")
    return values


def _dimensions(table: Table, context: int) -> Shape:
    for key in _DIMENSIONS:
        if not 1 <= table.whole(key) <= _MOST_OF_A_SHAPE:
            table.refuse(key, f"has to be from 1 to {_MOST_OF_A_SHAPE}")
    layers, heads, kv_heads, head_dim, hidden, feed_forward, vocab = (
        table.whole(key) for key in _DIMENSIONS
    )
    return Shape(
        table.text("arch"),
        layers,
        heads,
        kv_heads,
        head_dim,
        hidden,
        feed_forward,
        vocab,
        context,
        0,
        table.flag("tied"),
    )


def _quant(name: str, table: Table, built_in: bool) -> Quant:
    files, sha256 = table.texts("files"), table.texts("sha256", ())
    if not files or not all(is_safe(file) for file in files):
        table.refuse("files", "has to list .gguf files by plain names, without .. and not absolute")
    if len({Path(file).name for file in files}) < len(files):
        table.refuse("files", "has two files of one name")
    if len(files) > 1 and not all(_SHARD.search(file) for file in files):
        table.refuse(
            "files",
            "has more than one file, so all have to be named ...-00001-of-00002.gguf and so on",
        )
    if sha256 and (
        len(sha256) != len(files) or not all(_SHA256.fullmatch(value) for value in sha256)
    ):
        table.refuse("sha256", "has to be one hash of 64 hex digits for each file")
    repo, revision = table.text("repo", "" if built_in else None), table.text("revision", "")
    if not built_in and not _REPO.fullmatch(repo):
        table.refuse("repo", "has to be owner/name as on the Hub")
    if revision and not _REVISION.fullmatch(revision):
        table.refuse("revision", "has to be a commit or a branch")
    return Quant(
        name,
        repo,
        files,
        revision or None,
        table.whole("bytes", 0),
        table.flag("approximate"),
        sha256,
    )
