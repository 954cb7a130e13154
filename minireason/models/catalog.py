"""models.toml -> ModelSpec: which models have a name, which files belong to them, and what they cost.

The package brings one; a models.toml in the config directory adds entries or replaces those of the same name. Any
other file of the Hub is named as hf:owner/repo/file.gguf.
"""

from __future__ import annotations

import difflib
import functools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any, cast

from minireason.errors import BadCatalog, UnknownModel
from minireason.models import places
from minireason.models.shape import Shape
from minireason.settings import Changes, Settings

HUB_PREFIX = "hf:"
_SHARD = re.compile(r"-\d{5}-of-\d{5}(?=\.gguf$)")
_REPO = re.compile(r"[\w.-]+/[\w.-]+")
_FILE = re.compile(r"[\w][\w.+ -]*(/[\w][\w.+ -]*)*\.gguf")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DIMENSIONS = ("layers", "heads", "kv_heads", "head_dim", "hidden", "feed_forward", "vocab")
_REPACKABLE = ("Q4_K_M", "Q4_K_S", "Q4_0", "IQ4_NL")  # see gguf.py
_REVISION = re.compile(r"[\w][\w.-]*")


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

    `bare_questions` says that it was trained on questions without an instruction for the form of the answer.
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
    """Every model with a name, in the order of models.toml, the user's additions last. Raises BadCatalog."""
    packaged, _ = _packaged()
    own = places.config_dir() / "models.toml"
    try:
        text = own.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return tuple(packaged.values())
    added, _ = parse(text, str(own))
    return tuple((packaged | added).values())


def quality(quant: str) -> str:
    """A word on what a quantization costs in quality."""
    return _packaged()[1].get(quant, "")


def find(name: str) -> tuple[ModelSpec, Quant | None]:
    """The model meant by "name", "name:QUANT" (any case) or hf:owner/repo/file.gguf, and the quant if one was named.

    Raises UnknownModel with the nearest names or quants.
    """
    if name.strip().startswith(HUB_PREFIX):
        spec = from_hub(name.strip())
        return spec, spec.quants[spec.default_quant]
    wanted, _, quant = name.strip().lower().partition(":")
    specs = load()
    known = {alias: spec for spec in specs for alias in (spec.name.lower(), *spec.aliases)}
    spec_or_none = known.get(wanted)
    if spec_or_none is None:
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


def bare_questions(label: str) -> bool:
    """Whether a loaded model, by its label (name, name:QUANT or file name), wants questions without an instruction."""
    name = label.partition(":")[0]
    return any(
        spec.bare_questions
        and (name == spec.name or any(name in quant.files for quant in spec.quants.values()))
        for spec in load()
    )


def defaults(label: str) -> Settings:
    """The settings of a loaded model, by its label, where its caller says nothing.

    They are ours but for the `sampling` of its entry.
    """
    names = {label.partition(":")[0], label.rpartition("/")[2]}
    for spec in load():
        if not spec.sampling:
            continue
        files = {Path(file).name for quant in spec.quants.values() for file in quant.files}
        if names & {spec.name, *files}:
            whole = {"top_k": int(spec.sampling["top_k"])} if "top_k" in spec.sampling else {}
            return Settings().changed(cast("Changes", {**spec.sampling, **whole}))
    return Settings()


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


@functools.cache
def _packaged() -> tuple[dict[str, ModelSpec], dict[str, str]]:
    """models.toml from the package, or from the repository's root when the source tree itself is imported."""
    packaged = resources.files("minireason").joinpath("models.toml")
    text = (
        packaged.read_text("utf-8")
        if packaged.is_file()
        else (Path(__file__).parents[2] / "models.toml").read_text("utf-8")
    )
    return parse(text, "models.toml")


def parse(text: str, source: str) -> tuple[dict[str, ModelSpec], dict[str, str]]:
    """The models of a models.toml and its words on quality; raises BadCatalog with the line and the field."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadCatalog(source, None, "", str(error)) from None
    words = tables.pop("quality", {})
    specs = {name: _spec(_Table(name, table, text, source)) for name, table in tables.items()}
    return specs, {str(quant): str(word) for quant, word in words.items()} if isinstance(
        words, dict
    ) else {}


class _Table:
    """One table of the file, whose fields are taken with a check; errors name the line."""

    def __init__(
        self, name: str, table: object, text: str, source: str, line: int | None = None
    ) -> None:
        self.name, self._text, self.source, self._outer_line = name, text, source, line
        if not isinstance(table, dict):
            raise BadCatalog(
                source, self._line(""), name, "has to be a table, [name] with its fields below"
            )
        self._table: Mapping[str, Any] = table

    def text(self, key: str, default: str | None = None) -> str:
        value = self._take(key, default)
        return value if isinstance(value, str) else self.refuse(key, "has to be text in quotes")

    def whole(self, key: str, default: int | None = None) -> int:
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self.refuse(key, "has to be a whole number")
        return int(value)

    def flag(self, key: str) -> bool:
        value = self._take(key, False)
        return value if isinstance(value, bool) else self.refuse(key, "has to be true or false")

    def texts(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        value = self._take(key, default)
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            self.refuse(key, "has to be a list of texts")
        return tuple(value)

    def table(self, key: str, default: Mapping[str, Any] | None = None) -> _Table:
        value = self._take(key, default)
        if not isinstance(value, dict):
            self.refuse(key, "has to be a table")
        return _Table(f"{self.name}.{key}", value, self._text, self.source, self._line(key))

    def items(self) -> Mapping[str, Any]:
        return self._table

    def refuse(self, key: str, problem: str) -> Any:
        raise BadCatalog(self.source, self._line(key), f"{self.name}.{key}", problem)

    def _take(self, key: str, default: Any) -> Any:
        if key not in self._table and default is None:
            self.refuse(key, "is missing")
        return self._table.get(key, default)

    def _line(self, key: str) -> int | None:
        """The line of a field, else of its table's header; tomllib does not tell, so the text is searched."""
        inside, found = False, self._outer_line
        for number, line in enumerate(self._text.splitlines(), 1):
            if header := re.fullmatch(r"\s*\[([^\[\]]+)\]\s*(#.*)?", line):
                inside = header[1].replace('"', "").replace(" ", "") == self.name
                found = number if inside else found
            elif inside and key and re.match(rf"\s*\"?{re.escape(key)}\"?\s*=", line):
                return number
        return found


def _spec(table: _Table) -> ModelSpec:
    built_in = table.flag("built_in")
    quants = {}
    for name in table.table("quants").items():
        quants[name] = _quant(name, table.table("quants").table(name), built_in)
    if not quants:
        table.refuse("quants", "needs at least one quant")
    default = table.text("default", next(iter(quants)))
    if default not in quants:
        table.refuse("default", f"has to be one of {', '.join(quants)}")
    scores = table.table("scores", {})
    for name, value in scores.items().items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            scores.refuse(name, "has to be a number")
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
        scores={name: float(value) for name, value in scores.items().items()},
        quants=quants,
        default_quant=default,
        built_in=built_in,
        bare_questions=table.flag("bare_questions"),
        source=table.source,
    )


def _dimensions(table: _Table, context: int) -> Shape:
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


def _quant(name: str, table: _Table, built_in: bool) -> Quant:
    files, sha256 = table.texts("files"), table.texts("sha256", ())
    if not files or not all(is_safe(file) for file in files):
        table.refuse("files", "has to list .gguf files by plain names, without .. and not absolute")
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
