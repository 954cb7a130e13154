"""minireason serve, as a process of its own."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import util
from pathlib import Path

import httpx2
import pytest

from minireason.cli.commands import serve
from minireason.cli.main import main
from tests.cli.run import COMMAND, assert_one_sentence, minireason

TIMEOUT_S = 120
TINY = ("--model", "tiny", "--threads", "1", "--port", "0")


@contextmanager
def serving(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server that is ready, and its address."""
    with subprocess.Popen(
        [*COMMAND, "serve", *TINY, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            ready = re.fullmatch(r"minireason serves tiny at (http://127\.0\.0\.1:\d+/)\n", line)
            assert ready, (line, process.stderr and process.stderr.read())
            yield process, ready[1]
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=TIMEOUT_S)
    return process.returncode, out, err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process otherwise")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_from_the_first_line_to_a_quiet_end(how: signal.Signals) -> None:
    with serving() as (process, url):
        health = httpx2.get(f"{url}health", trust_env=False, timeout=TIMEOUT_S)
        assert health.json() == {"status": "ok", "models": ["tiny"]}
        process.send_signal(how)
        code, out, err = ended(process)
    assert (code, out) == (0, "")
    assert "Traceback" not in err
    assert "GET /health 200 " in err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process otherwise")
def test_a_third_signal_ends_it_at_once() -> None:
    with serving() as (process, _):
        for _ in range(3):
            process.send_signal(signal.SIGTERM)
        code, _, err = ended(process)
    assert code in (0, -signal.SIGTERM)
    assert "Traceback" not in err


def test_a_port_that_is_taken_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = minireason("serve", "--model", "tiny", "--port", port)
    assert_one_sentence(result, 2, f"Port {port} of 127.0.0.1")


def test_beyond_this_machine_it_needs_keys() -> None:
    assert_one_sentence(minireason("serve", *TINY, "--host", "0.0.0.0"), 2, "--host 0.0.0.0: ")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--port", "99999"), "--port 99999: has to be a whole number from 0 to 65535"),
        (("--port", "web"), "--port web: has to be a whole number"),
        (("--keep-alive", "5m"), "--keep-alive 5m: has to be a number of seconds"),
        (("--keep-alive", "soon"), "--keep-alive soon: has to be a number of seconds"),
        (("--reasoning-field", "x"), "--reasoning-field x: has to be one of both, content"),
        (("--cors-origin", "app.example"), "--cors-origin app.example: has to be an origin"),
        (("--slots", "0"), "--slots 0: has to be a whole number from 1"),
        (("--ctx", "1"), "--ctx 1: has to be"),
    ],
)
def test_options_that_make_no_sense(options: tuple[str, ...], said: str) -> None:
    assert_one_sentence(minireason("serve", "--model", "tiny", *options), 2, said)


def test_models_that_are_not_there() -> None:
    missing = minireason("serve", "--port", "0", "--model", "r1-7b", "--offline")
    assert_one_sentence(missing, 3, "r1-7b is not installed")
    unknown = minireason("serve", "--port", "0", "--model", "tiny", "--model", "gpt-9")
    assert unknown.code == 2
    assert "gpt-9" in unknown.err


@pytest.mark.skipif(os.name != "posix", reason="Windows has other rights")
def test_a_file_of_keys_that_others_can_read(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("secret-key-1\n")
    keys.chmod(0o640)
    result = minireason("serve", *TINY, "--api-key-file", str(keys))
    assert_one_sentence(result, 2, f"chmod 600 {keys}")
    assert "secret-key-1" not in result.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# nothing\n\n", "There is no key"),
        ("two words\n", "no single word"),
        ("schlüssel\n", "no single word"),
        (None, "cannot be read"),
    ],
)
def test_files_of_keys_that_will_not_do(tmp_path: Path, text: str | None, said: str) -> None:
    keys = tmp_path / "keys"
    if text is not None:
        keys.write_text(text, "utf-8")
        keys.chmod(0o600)
    assert_one_sentence(minireason("serve", *TINY, "--api-key-file", str(keys)), 2, said)


def test_keys_of_a_file_are_asked_for(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("# ours\nsecret-key-1\nsecret-key-2  # bob\n")
    keys.chmod(0o600)
    with serving("--api-key-file", str(keys)) as (_, url):
        for key, status in (("secret-key-2", 200), ("# ours", 401), ("bob", 401)):
            answer = httpx2.get(f"{url}metrics", headers={"x-api-key": key}, trust_env=False)
            assert answer.status_code == status


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = util.find_spec
    monkeypatch.setattr(serve, "find_spec", lambda name: None if name == "uvicorn" else own(name))
    assert main(["serve", "--model", "tiny"]) == 2
    assert "pip install 'minireason[server]'" in capsys.readouterr().err
