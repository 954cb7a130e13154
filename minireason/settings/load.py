"""How a model is loaded."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, TypedDict, get_args

from minireason.checks import Rule, check_fields, check_names, one_of, text, whole, yes_or_no

KvType = Literal["f16", "q8_0", "q4_0"]
"""How the KV cache stores keys and values: two bytes each, or 34 or 18 bytes for 32 of them."""

SpeculationMode = Literal["auto", "off"]
"""Whether tokens are drafted for a reply that runs alone."""


class LoadChanges(TypedDict, total=False):
    """The keyword arguments of `load`: the fields of `LoadSettings`."""

    n_ctx: int | None
    n_threads: int | None
    n_gpu_layers: int | None
    n_seq_max: int
    kv_type: KvType | None
    repack: bool | None
    reproducible: bool
    speculation: SpeculationMode
    draft_model: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSettings:
    """How a model is loaded; None leaves the choice to the plan. Raises BadSetting."""

    n_ctx: int | None = None
    """The most tokens in the KV cache, of all sequences together; one reply may use them all.

    Memory grows towards it as needed. None takes the longest context that the model was trained
    for and that fits comfortably, and room for further sequences beside it. Defaults to None.
    """

    n_threads: int | None = None
    """The most threads for llama.cpp on the CPU.

    Fewer compute while other programs keep cores busy, unless `reproducible` is set or layers are
    on a GPU. None takes one for each physical core. Defaults to None.
    """

    n_gpu_layers: int | None = None
    """Layers of the model on the GPU; -1 puts all there, 0 none.

    The output counts as a layer. None puts as many there as fit. Defaults to None.
    """

    n_seq_max: int = 16
    """The most sequences in one batch, and so the most replies at once. Defaults to 16."""

    kv_type: KvType | None = None
    """How the KV cache stores keys and values: "f16", "q8_0" or "q4_0".

    None takes "f16", or "q8_0" where "f16" leaves no roomy context. Defaults to None.
    """

    repack: bool | None = None
    """Whether weights are rearranged for the CPU: the model loads later and decodes faster.

    None does so where most weights are of a kind that gains by it. Defaults to None.
    """

    reproducible: bool = False
    """Whether nothing that is measured while the model is used may change its arithmetic.

    True pins the threads, decides about flash attention by rule instead of by measurement, and
    drafts no tokens, so that the same seed gives the same text for a stream that is alone. It may
    be slower. Defaults to False.
    """

    speculation: SpeculationMode = "auto"
    """Whether tokens are drafted for a reply that runs alone, and checked several in one step.

    "auto" drafts where it has measured that this is faster, "off" never. The text is drawn the same
    way. Defaults to "auto".
    """

    draft_model: str | None = None
    """A smaller model with the same vocabulary, installed or the path of a .gguf file, that drafts.

    None drafts what followed when the last tokens came before. Defaults to None.
    """

    def __post_init__(self) -> None:
        check_fields(self, _RULES)

    @classmethod
    def of(cls, changes: LoadChanges) -> LoadSettings:
        """The defaults with some fields changed; raises BadSetting for an unknown name."""
        check_names(changes, [field.name for field in fields(cls)])
        return cls(**changes)


_RULES: dict[str, Rule] = {
    "n_ctx": whole(64, 2**24),
    "n_threads": whole(1, 512),
    "n_gpu_layers": whole(-1, 100_000),
    "n_seq_max": whole(1, 256),
    "kv_type": one_of(get_args(KvType)),
    "repack": yes_or_no,
    "reproducible": yes_or_no,
    "speculation": one_of(get_args(SpeculationMode)),
    "draft_model": text,
}
