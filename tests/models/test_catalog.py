from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from minireason import Settings, UnknownModel
from minireason.models import catalog


def test_every_entry_is_whole() -> None:
    specs = catalog.load()
    names = [name for spec in specs for name in (spec.name, *spec.aliases)]
    assert len(names) == len(set(names))
    assert len([spec for spec in specs if spec.name.startswith("r1-")]) == 7
    for spec in specs:
        assert spec.default_quant in spec.quants
        assert spec.licence
        assert spec.dimensions
        assert all(spec.shape(quant) for quant in spec.quants), (
            "the estimate before a download is possible"
        )


@pytest.mark.parametrize(
    ("name", "wanted", "quant"),
    [
        ("tiny", "tiny", None),
        ("R1-7B", "r1-7b", None),
        ("deepseek-r1-7b", "r1-7b", None),
        ("r1-7b:q8_0", "r1-7b", "Q8_0"),
    ],
)
def test_resolve(name: str, wanted: str, quant: str | None) -> None:
    spec, named = catalog.find(name)
    assert (spec.name, named and named.name) == (wanted, quant)


def test_unknown_names_say_the_nearest() -> None:
    with pytest.raises(UnknownModel, match="did you mean") as caught:
        catalog.find("r1-7bb")
    assert "r1-7b" in caught.value.nearest
    with pytest.raises(
        UnknownModel, match=r"ultra'; minireason models lists those .* too\.$"
    ) as it:
        catalog.find("gpt-99-ultra")
    assert {"tiny", "r1-7b"} <= set(it.value.known)
    with pytest.raises(UnknownModel, match="r1-7b:Q4_K_M"):
        catalog.find("r1-7b:Q9")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("deepseek-r1:7b", "r1-7b"), ("deepseek-r1:1.5b", "r1-1.5b"), ("qwen3:8b", "qwen3-8b")],
)
def test_the_name_that_ollama_has_is_told_as_ours(theirs: str, ours: str) -> None:
    with pytest.raises(UnknownModel) as caught:
        catalog.find(theirs)
    assert caught.value.nearest == (ours,)


@pytest.mark.parametrize(
    ("name", "thinks", "sampling"),
    [
        ("vibethinker-1.5b", True, {"temperature": 1.0, "top_p": 0.95}),
        ("vibethinker-3b", True, {"temperature": 1.0, "top_p": 0.95}),
        ("openreasoning-1.5b", True, {}),
        ("openreasoning-7b", True, {}),
        ("openreasoning-14b", True, {}),
        ("openthinker3-7b", True, {}),
        ("qwen3-4b-thinking-2507", False, {"temperature": 0.6, "top_p": 0.95, "top_k": 20.0}),
        ("r1-7b", False, {}),
    ],
)
def test_models_of_today(name: str, thinks: bool, sampling: dict[str, float]) -> None:
    """Those with Qwen2.5's plain template are known to think by their entry alone."""
    spec, _ = catalog.find(name)
    assert (spec.thinks, spec.sampling) == (thinks, sampling)
    for quant in spec.quants.values():
        assert catalog.thinks(f"{spec.name}:{quant.name}") is thinks
        assert catalog.thinks(Path(quant.files[0]).name) is thinks
        assert quant.approximate or quant.sha256, "an exact size comes with its hash"
    assert not catalog.thinks("tiny")


def test_sampling_of_an_entry_is_that_of_its_files_however_they_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = replace(catalog.find("r1-7b")[0], sampling={"temperature": 1.0, "top_k": 40.0})
    tiny = catalog.find("tiny")[0]
    monkeypatch.setattr(catalog, "load", lambda: (tiny, spec))
    file = spec.quants["Q4_K_M"].files[0]
    for label in ("r1-7b", "r1-7b:Q4_K_M", file, f"hf:some/repo/{file}"):
        assert catalog.defaults(label) == Settings(temperature=1.0, top_k=40)
    for label in ("tiny", "r1-8b:Q4_K_M", "hf:some/repo/other.gguf"):
        assert catalog.defaults(label) == Settings()
