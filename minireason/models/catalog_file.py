"""The text of a models.toml -> Catalog."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path

from minireason.errors import BadCatalog
from minireason.host import state
from minireason.models.hub_name import is_repo, is_revision, is_safe
from minireason.models.shape import Shape
from minireason.models.spec import ModelSpec, Quant
from minireason.models.toml_table import Table, line_of

_SHARD = re.compile(r"-\d{5}-of-\d{5}(?=\.gguf$)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DIMENSIONS = ("layers", "heads", "kv_heads", "head_dim", "hidden", "feed_forward", "vocab")
_MAX_DIMENSION = 2**31
_PROBLEMS_WITH_A_LINE = 20  # looking for the line of one reads the whole text
_SAMPLING = {"temperature": 100.0, "top_p": 1.0, "top_k": 1e6}
"""The sampling settings that an entry may have, and the largest value of each, see `Settings`."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """What a models.toml says."""

    specs: dict[str, ModelSpec]
    """Its models by name."""

    quality: dict[str, str]
    """A word on what each quantization costs in quality."""

    problems: tuple[BadCatalog, ...]
    """What is wrong with it, one for each entry that is left out."""


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
    words = words if state.fits(words, dict) else {}
    quality = {quant: word for quant, word in words.items() if isinstance(word, str)}
    return Catalog(specs, quality, tuple(wrong))


def _spec(table: Table) -> ModelSpec:
    built_in = table.flag("built_in")
    tables = table.table("quants")
    quants = {name: _quant(name, tables.table(name), built_in) for name in tables.items()}
    if not quants:
        table.refuse("quants", "needs at least one quant")
    default = table.text("default", next(iter(quants)))
    if default not in quants:
        table.refuse("default", f"has to be one of {', '.join(quants)}")
    dimensions = None
    if "shape" in table.items():
        dimensions = _dimensions(table.table("shape"), table.whole("context"))
    return ModelSpec(
        name=table.name,
        aliases=tuple(alias.lower() for alias in table.texts("aliases", ())),
        params=table.whole("params", 0),
        licence=table.text("licence", ""),
        base=table.text("base", ""),
        dimensions=dimensions,
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
        if not 1 <= table.whole(key) <= _MAX_DIMENSION:
            table.refuse(key, f"has to be from 1 to {_MAX_DIMENSION}")
    return Shape(
        arch=table.text("arch"),
        layers=table.whole("layers"),
        heads=table.whole("heads"),
        kv_heads=table.whole("kv_heads"),
        head_dim=table.whole("head_dim"),
        hidden=table.whole("hidden"),
        feed_forward=table.whole("feed_forward"),
        vocab=table.whole("vocab"),
        context=context,
        weight_bytes=0,
        tied=table.flag("tied"),
    )


def _quant(name: str, table: Table, built_in: bool) -> Quant:
    repo, revision = table.text("repo", "" if built_in else None), table.text("revision", "")
    if not built_in and not is_repo(repo):
        table.refuse("repo", "has to be owner/name as on the Hub")
    if revision and not is_revision(revision):
        table.refuse("revision", "has to be a commit or a branch")
    files = _files(table)
    return Quant(
        name=name,
        repo=repo,
        files=files,
        revision=revision or None,
        bytes=table.whole("bytes", 0),
        approximate=table.flag("approximate"),
        sha256=_sha256(table, len(files)),
    )


def _files(table: Table) -> tuple[str, ...]:
    files = table.texts("files")
    if not files or not all(is_safe(file) for file in files):
        table.refuse("files", "has to list .gguf files by plain names, without .. and not absolute")
    if len({Path(file).name for file in files}) < len(files):
        table.refuse("files", "has two files of one name")
    if len(files) > 1 and not all(_SHARD.search(file) for file in files):
        table.refuse(
            "files",
            "has more than one file, so all have to be named ...-00001-of-00002.gguf and so on",
        )
    return files


def _sha256(table: Table, files: int) -> tuple[str, ...]:
    hashes = table.texts("sha256", ())
    whole = all(_SHA256.fullmatch(value) for value in hashes)
    if hashes and (len(hashes) != files or not whole):
        table.refuse("sha256", "has to be one hash of 64 hex digits for each file")
    return hashes
