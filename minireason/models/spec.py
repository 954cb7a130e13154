"""A named model: what it is, which files belong to it, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from minireason.models.shape import Shape

_REPACKABLE = ("Q4_K_M", "Q4_K_S", "Q4_0", "IQ4_NL")  # see gguf_header.py
_REPACKABLE_PART = 0.75  # of Q4_K_M in the 7B shape; the others have more


@dataclass(frozen=True, slots=True)
class Quant:
    """The published files of one quantization."""

    name: str
    """Its name, such as "Q4_K_M"."""

    repo: str
    """The repository on the Hub, owner/name."""

    files: tuple[str, ...]
    """The files there, of a split model the first part first."""

    revision: str | None
    """A commit or a branch of the repository; None for the newest."""

    bytes: int
    """The sum over the files, 0 if unknown."""

    approximate: bool
    """Whether `bytes` was computed, and is never checked against."""

    sha256: tuple[str, ...]
    """One hash for each file; empty where none is published."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model with a name: an entry of a models.toml, or what an address on the Hub means."""

    name: str
    """What it is asked for by."""

    aliases: tuple[str, ...]
    """Other names, in lower case."""

    params: int
    """Parameters, 0 if nobody wrote them down."""

    licence: str
    """Its licence."""

    base: str
    """The model that it was trained from."""

    dimensions: Shape | None
    """Its shape without weights; None where nobody wrote it down."""

    context: int
    """The context that it was trained for, in tokens."""

    format: str
    """The format of its prompts: "r1", or "template" for what its file says."""

    scores: dict[str, float]
    """The scores that its makers published, by benchmark."""

    quants: dict[str, Quant]
    """Its quantizations by name."""

    default_quant: str
    """The one that is meant by the model's name alone."""

    built_in: bool = False
    """Whether its file comes inside the package."""

    bare_questions: bool = False
    """Whether it was trained on questions without an instruction for the answer's form."""

    thinks: bool = False
    """Whether it thinks though its template does not show it."""

    sampling: dict[str, float] = field(default_factory=dict)
    """Its makers' temperature, top_p and top_k, where they are others than ours.

    What a caller sets goes before them.
    """

    source: str = field(default="", compare=False)
    """The models.toml that it stands in."""

    def shape(self, quant: str) -> Shape | None:
        """What the estimate before a download is made of; None where too little is known."""
        if self.dimensions is None or not self.quants[quant].bytes:
            return None
        weights = self.quants[quant].bytes
        repackable = int(_REPACKABLE_PART * weights) if quant in _REPACKABLE else 0
        return replace(self.dimensions, weight_bytes=weights, repackable_bytes=repackable)
