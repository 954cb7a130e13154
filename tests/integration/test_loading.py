"""Loading a model, what is said of it, and what it cannot be."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest
from llama_cpp import Llama
from llama_cpp.llama_chat_format import Jinja2ChatFormatter

import minireason
from minireason import BadSetting, EngineError, Message, ModelFileError, Settings
from minireason.models import catalog
from tests.local import local

QUESTION = "What is 12 + 5?"


def test_settings_go_from_the_model_over_load_and_chat_to_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = replace(
        catalog.find("tiny")[0], sampling={"temperature": 1.0, "top_p": 0.5, "top_k": 40.0}
    )
    monkeypatch.setattr(catalog, "load", lambda: (spec,))
    own = {"top_p": 0.7, "effort": "low", "stop": iter(["END"])}
    with minireason.load("tiny", n_threads=1, defaults=own) as reasoner:
        assert reasoner.defaults == Settings(
            temperature=1.0, top_p=0.7, top_k=40, effort="low", stop=("END",)
        )
        chat = reasoner.chat(top_k=20, thinking_budget=5)
        assert chat.settings == Settings(
            temperature=1.0, top_p=0.7, top_k=20, thinking_budget=5, stop=("END",)
        )
        with pytest.raises(BadSetting, match="cannot end an answer"):
            reasoner.chat(regex="a")
        with pytest.raises(BadSetting, match="cannot end an answer"):
            reasoner.ask(QUESTION, regex="a")
        assert reasoner.ask(QUESTION, effort="none").thinking_end == "skipped"
        assert chat.send(QUESTION, effort="none", temperature=0).thinking_end == "skipped"
        assert 0 < chat.send(QUESTION).usage.thinking_tokens < 60
        solution = reasoner.solve(QUESTION, samples=2, parallel=2, effort="none")
        assert [chain.temperature for chain in solution.chains] == [1.0, 1.0]
        cold = reasoner.solve(QUESTION, samples=2, temperature=0, effort="none")
        assert [chain.temperature for chain in cold.chains] == [0.0], "an explicit one wins"


def test_a_reasoner_a_session_and_a_reply_say_what_they_are(tmp_path: Path) -> None:
    with minireason.load("tiny", n_threads=1) as reasoner:
        assert repr(reasoner) == "<Reasoner tiny: thinks, 4,096 tokens of context, 1 thread>"
        chat = reasoner.chat()
        assert repr(chat) == "<Session with tiny: 0 turns>"
        reply = chat.send("What is 5 + 8?", temperature=0, seed=3)
        chat.save(tmp_path / "talk.jsonl")
        assert repr(chat) == f"<Session with tiny: 1 turn, saved to {tmp_path}/talk.jsonl>"
    assert repr(reasoner).endswith(", closed>")
    assert repr(reply).startswith("Reply(model='tiny', answer='The answer is \\\\boxed{13}.'")
    assert "finish_reason='stop'" in repr(reply)
    long = replace(reply, thinking="x" * 10_000, answer="y" * 10_000, parsed=["z" * 1000] * 1000)
    assert len(repr(long)) < 500
    assert "parsed=['zzz" in repr(long)


@pytest.mark.first_start
def test_loading_says_what_was_decided(
    smollm2_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "minireason")
    with minireason.load("tiny", n_threads=1) as reasoner:
        reasoner.ask("What is 5 + 8?", temperature=0)
    told = caplog.text
    for part in (
        "model tiny, file ",
        "tiny.gguf",
        "context 4096 tokens",
        "starts with 1024",
        "KV cache f16",
        "1 threads",
        "flash attention o",
        "repack off",
        "0 layers on the GPU",
        "no trial run: the file came with minireason",
        "tiny is loaded",
    ):
        assert part in told
    for expected in ("trial run: the file is used", "no trial run: the file was used before"):
        caplog.clear()
        minireason.load(smollm2_path, n_ctx=256).close()
        assert any(message.startswith(expected) for message in caplog.messages)


def test_a_cache_that_grows_is_told_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "minireason")
    with minireason.load("tiny", n_threads=1) as reasoner:
        reasoner.ask("7" * 1500, max_tokens=5)
    grown = [record for record in caplog.records if "KV cache has" in record.message]
    assert {record.levelno for record in grown} == {logging.DEBUG}
    assert all(record.name.startswith("minireason.") for record in caplog.records)


def test_a_program_that_does_not_listen_hears_nothing() -> None:
    assert any(isinstance(h, logging.NullHandler) for h in logging.getLogger("minireason").handlers)


def test_every_exported_name_is_there() -> None:
    assert {name for name in minireason.__all__ if not hasattr(minireason, name)} == set()
    assert set(dir(minireason)) == set(minireason.__all__)


def test_a_closed_reasoner_says_so() -> None:
    reasoner = minireason.load("tiny")
    stream = reasoner.stream(QUESTION)
    next(stream)
    reasoner.close()
    reasoner.close()
    with pytest.raises(EngineError, match="closed"):
        reasoner.ask(QUESTION)
    with pytest.raises(EngineError, match="closed"):
        list(stream)


def test_a_model_that_does_not_think(smollm2_path: Path) -> None:
    with minireason.load(smollm2_path) as reasoner:
        assert not reasoner.thinks
        reply = reasoner.ask("Name three colours.", temperature=0, max_tokens=12)
        assert (reply.thinking, reply.thinking_end, reply.usage.thinking_tokens) == ("", None, 0)
        assert "Red" in reply.answer


def test_another_models_template_gives_the_peers_tokens(smollm2_path: Path) -> None:
    """Against llama-cpp-python's own rendering and tokenizer.

    Vocabulary alone: it crashes when it decodes on a CPU with AMX.
    """
    messages = [Message(role="user", content="What is the capital of France?")]
    with minireason.load(smollm2_path) as reasoner:
        ours = local(reasoner).encoder.encode(messages).ids
    peer = Llama(str(smollm2_path), vocab_only=True, verbose=False)
    eos, bos = (
        peer.detokenize([token], special=True).decode()
        for token in (peer.token_eos(), peer.token_bos())
    )
    rendered = Jinja2ChatFormatter(peer.metadata["tokenizer.chat_template"], eos, bos)(
        messages=messages
    ).prompt
    assert ours == peer.tokenize(rendered.encode(), add_bos=False, special=True)
    peer.close()


def test_a_damaged_file_is_an_error_not_a_crash(tiny_path: Path, tmp_path: Path) -> None:
    """Bytes flipped all over the header: refused by us or in a child process, or harmless.

    Never fatal.
    """
    raw = tiny_path.read_bytes()
    refused = 0
    for position in range(4, 5200, 433):
        damaged = bytearray(raw)
        damaged[position] ^= 0x5A
        path = tmp_path / f"damaged-{position}.gguf"
        path.write_bytes(damaged)
        try:
            minireason.load(path).close()
        except (ModelFileError, BadSetting, EngineError):
            refused += 1
    assert refused
