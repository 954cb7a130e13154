"""What is read out of the output of llama.cpp's tools."""

from __future__ import annotations

from types import ModuleType

import pytest

from tests.conftest import bench

BENCH_LINE = (
    '{"build_commit": "unknown", "build_number": 0, "n_prompt": 0, "n_gen": 128, "n_depth": 100, '
    '"flash_attn": 1, "avg_ns": 731000000, "avg_ts": 175.102312, "stddev_ts": 0.0, '
    '"samples_ns": [731000000], "samples_ts": [175.102]}\n'
)
BATCHED_LINE = (
    '{"n_kv_max": 1280, "n_batch": 2048, "n_ubatch": 512, "flash_attn": 0, "is_pp_shared": 1, '
    '"n_gpu_layers": -1, "n_threads": 2, "n_threads_batch": 2, "pp": 64, "tg": 256, "pl": 4, '
    '"n_kv": 1088, "t_pp": 0.200000, "speed_pp": 320.0, "t_tg": 5.120000, "speed_tg": 200.0, '
    '"t": 5.320000, "speed": 204.5}\n'
)


@pytest.fixture(scope="module")
def tools() -> ModuleType:
    return bench("tools")


def test_the_rate_of_llama_bench(tools: ModuleType) -> None:
    assert tools.rate(f"\nload_backend: loaded\n{BENCH_LINE}") == pytest.approx(175.1, abs=0.01)


def test_the_rates_of_llama_batched_bench(tools: ModuleType) -> None:
    rates = tools.batch_rates(f"main: n_kv_max = 1280\n\n{BATCHED_LINE}", tools.Batch(4, 64, 256))
    assert rates.decode == pytest.approx(1024 / 5.12)
    assert rates.whole == pytest.approx(1024 / 5.32)


def test_another_batch_than_was_asked_for(tools: ModuleType) -> None:
    with pytest.raises(tools.ToolFailed, match="another batch"):
        tools.batch_rates(BATCHED_LINE, tools.Batch(8, 64, 256))


def test_output_without_json(tools: ModuleType) -> None:
    with pytest.raises(tools.ToolFailed, match="no line of JSON"):
        tools.rate("main: n_kv_max (1024) is too small\n")


def test_a_tool_that_is_not_there(tools: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(tools.ToolFailed, match=r"llama-bench is not on the PATH; CONTRIBUTING"):
        tools.bench(tools.Subject("model.gguf", 2), tokens=128, flash=True)


def test_a_stream_for_each_chain_is_rounded_up(tools: ModuleType) -> None:
    assert tools.Batch(4, 64, 256).n_ctx == 4 * 512
    assert tools.Batch(8, 3840, 256).n_ctx == 8 * 4096


def test_the_text_in_a_line_of_the_event_stream(tools: ModuleType) -> None:
    server = bench("llama_server")
    chunk = 'data: {"choices": [{"delta": {%s}}]}\n'
    assert server.piece(chunk % '"content": "Hi"') == "Hi"
    assert server.piece(chunk % '"reasoning_content": "Hm"') == "Hm"
    assert server.piece(chunk % '"role": "assistant", "content": null') == ""
    assert server.piece('data: {"choices": [], "usage": {"total_tokens": 9}}\n') == ""
    assert server.piece("data: [DONE]\n") == server.piece("\n") == ""
