"""What the C boundary relies on, checked against the installed llama-cpp-python."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from minireason import BackendMissing, DecodeFailed, ModelFileError
from minireason.engine import devices, library, sampler
from minireason.engine.base import Batch
from minireason.engine.library import C
from minireason.engine.model import Model
from minireason.engine.stop_flag import StopFlag
from minireason.settings import KvType
from tests.models.build import write
from tests.native.contexts import small

ENGINE = Path(library.__file__).parent
SOURCE = "\n".join(path.read_text("utf-8") for path in sorted(ENGINE.glob("*.py")))


def test_every_function_in_use_exists() -> None:
    names = {
        node.attr
        for node in ast.walk(ast.parse(SOURCE))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "C"
    }
    names |= {
        f"llama_sampler_init_{link[0]}"
        for temperature in (0, 1)
        for link in sampler.links(temperature, 0.9, 40, 1)
    }
    assert len(names) > 40
    assert [name for name in sorted(names) if not hasattr(C, name)] == []


@pytest.mark.parametrize(
    ("struct", "fields"),
    [
        (C.llama_model_params, "n_gpu_layers use_extra_bufts progress_callback"),
        (
            C.llama_context_params,
            "n_ctx n_batch n_ubatch n_seq_max n_outputs_max n_threads n_threads_batch kv_unified"
            " no_perf type_k type_v flash_attn_type abort_callback abort_callback_data cb_eval",
        ),
        (C.llama_batch, "n_tokens token pos n_seq_id seq_id logits"),
        (C.llama_sampler_chain_params, "no_perf"),
    ],
)
def test_every_field_in_use_exists(struct: type, fields: str) -> None:
    assert all(hasattr(struct, field) for field in fields.split())
    assert all(f"{field}=" in SOURCE or f".{field} =" in SOURCE for field in fields.split())


def test_every_kv_type_exists() -> None:
    assert all(hasattr(C, f"GGML_TYPE_{name.upper()}") for name in get_args(KvType))


@pytest.mark.parametrize("kind", ["ENABLED", "DISABLED"])
def test_every_kind_of_flash_attention_exists(kind: str) -> None:
    assert hasattr(C, f"LLAMA_FLASH_ATTN_TYPE_{kind}")


def test_the_callback_of_a_stop_says_whether_it_was_asked_for() -> None:
    stop = StopFlag()
    said = [stop.callback(stop.data)]
    stop.set()
    said += [stop.is_set, stop.callback(stop.data)]
    stop.clear()
    said += [stop.is_set, stop.callback(stop.data)]
    assert said == [False, True, True, False, False]


def test_a_function_of_ggml_that_is_gone_is_refused() -> None:
    with pytest.raises(BackendMissing, match="dev_weight"):
        library.ggml("dev_weight", None)


def test_a_field_that_is_gone_is_refused() -> None:
    with pytest.raises(BackendMissing, match="use_mmap"):
        library.fill(C.llama_model_default_params(), use_mmap=True)


def test_pieces_longer_than_the_buffer(smollm2_path: Path) -> None:
    model = Model(smollm2_path)
    pieces = [model.vocabulary.piece(token) for token in range(model.vocabulary.n_vocab)]
    assert max(len(piece) for piece in pieces) > 32
    text = "Hello, wörld 漢字 🙂\n\n  x"
    assert (
        b"".join(
            pieces[token] for token in model.vocabulary.tokenize(text, parse_special=False)
        ).decode()
        == text
    )
    model.close()


def test_an_impossible_batch_never_reaches_the_library(tiny_path: Path) -> None:
    model = Model(tiny_path)
    context = small(model, 2)
    for batch in (
        Batch.of_slot(0, [1] * 9, 0),
        Batch.of_slot(5, [1], 0),
        Batch.of_slot(-1, [1], 0),
        Batch([], [], [], []),
    ):
        with pytest.raises(ValueError, match="abort"):
            context.decode(batch)
    with pytest.raises(DecodeFailed):  # a gap in the positions
        context.decode(Batch.of_slot(0, [1], 7)) and context.decode(Batch.of_slot(0, [1], 3))
    context.close()
    model.close()


@pytest.mark.parametrize(
    ("temperature", "top_k"), [(0, 256), (1.0, 256), (1.5, 20), (1.0, 1000), (1.0, 0)]
)
def test_a_token_is_the_one_that_llama_cpp_itself_draws(
    smollm2_path: Path, temperature: float, top_k: int
) -> None:
    model = Model(smollm2_path)
    context = small(model, n_threads=2)
    context.decode(Batch.of_slot(0, [1, 9000], 0))
    for seed in range(20):
        ours, theirs = (
            sampler.SamplerChain(sampler.links(temperature, 0.99, top_k, seed)) for _ in range(2)
        )
        owner, chain = context.owner, theirs.owner
        drawn = [C.llama_sampler_sample(chain.pointer, owner.pointer, 1) for _ in range(5)]
        assert [context.sample(ours, 1, draw) for draw in range(5)] == drawn
    context.close()
    model.close()


def test_a_token_is_drawn_once(smollm2_path: Path) -> None:
    """Asked again for the same one it gives that, and the random numbers do not go on."""
    model = Model(smollm2_path)
    context = small(model, n_threads=2)
    context.decode(Batch.of_slot(0, [1, 9000], 0))
    once, twice = (sampler.SamplerChain(sampler.links(1.5, 0.99, 256, 7)) for _ in range(2))
    drawn = [context.sample(once, 1, draw) for draw in range(8)]
    again = [context.sample(twice, 1, draw // 2) for draw in range(16)]
    assert again == [token for token in drawn for _ in range(2)]
    context.close()
    model.close()


def test_a_file_llama_cpp_refuses(tmp_path: Path) -> None:
    path = write(tmp_path / "empty.gguf")
    with pytest.raises(ModelFileError, match=r"could not load it \(.+\)"):
        Model(path)


def test_an_exception_in_the_progress_callback_comes_out(tiny_path: Path) -> None:
    def stop(_share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Model(tiny_path, on_progress=stop)


def test_amx_is_left_out() -> None:
    names = devices.leave_out_amx()
    assert "AMX" not in names
    assert devices.leave_out_amx() == names


def test_repacked_weights_compute_the_same(random_path: Path) -> None:
    logits = []
    for repack in (False, True):
        model = Model(random_path, repack=repack)
        context = small(model, 2)
        context.decode(Batch.of_slot(0, [3, 1, 4, 1, 5], 0))
        row = C.llama_get_logits_ith(context.owner.pointer, 4)
        logits.append(np.ctypeslib.as_array(row, (model.vocabulary.n_vocab,)).copy())
        context.close()
        model.close()
    plain, repacked = logits
    assert abs(plain - repacked).max() < 0.02 * plain.std()
