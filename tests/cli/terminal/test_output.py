"""The one way to the user's terminal: what steers it passes only where it is meant."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.markdown import Markdown
from rich.status import Status
from rich.text import Text

import minireason
from minireason.cli.terminal import output
from minireason.host import paths
from tests.cli.run import minireason as run
from tests.models.hub import Hub

EVIL = "a\x1b[2J\x1b]0;title\x07\x9b31m\u202eb"
STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def guarded(monkeypatch: pytest.MonkeyPatch) -> tuple[Tty, Tty]:
    out, err = Tty(), Tty()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setenv("TERM", "xterm-256color")
    output.guard()
    output.guard()
    return out, err


def test_what_anybody_prints_is_made_harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = guarded(monkeypatch)
    print(EVIL)
    sys.stdout.writelines([EVIL, "\n"])
    print("tab\tand line", file=sys.stderr)
    assert out.getvalue() == 2 * "a␛[2J␛]0;title␇\ufffd31m\ufffdb\n"
    assert err.getvalue() == "tab\tand line\n"
    assert not hasattr(sys.stdout, "buffer"), "bytes would go past"
    output.direct(sys.stdout).write("\x1b[K")
    assert out.getvalue().endswith("\x1b[K")


def test_rich_may_steer_and_the_text_in_it_may_not(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = guarded(monkeypatch)
    console = output.console()
    console.print(Text(EVIL, style="bold"))
    console.print(Markdown("&#x1b;]0;title [text](http://evil)", hyperlinks=True))
    with Status(Text(EVIL), console=output.console(errors=True)):
        print("\x1b]8;;http://evil\x1b\\\\link\x1b[2J", file=sys.stderr)
    assert "\x1b[1m" in out.getvalue()
    for shown in (out.getvalue(), err.getvalue()):
        assert "\x1b]" not in shown
        assert "\x1b[2J" not in shown
        assert not STEERS.search(re.sub(r"\x1b\[[0-9;?]*[mAKhl]|\r", "", shown))


def test_a_width_of_nothing_is_no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    guarded(monkeypatch)
    monkeypatch.setenv("COLUMNS", "0")
    assert output.console().width == 80
    monkeypatch.setenv("COLUMNS", "33")
    assert output.console().width == 33


def test_nothing_goes_another_way() -> None:
    """No other console, and none of the streams or bytes behind what is guarded."""
    for path in (Path(minireason.__file__).parent / "cli").rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        if path.name != "output.py":
            assert "Console" not in calls, path
        named = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not named & {
            "sys.__stdout__",
            "sys.__stderr__",
            "sys.stdout.buffer",
            "sys.stderr.buffer",
        }, path


def write_manifest(name: str, path: Path) -> None:
    folder = paths.data_dir() / "manifests"
    folder.mkdir(parents=True, exist_ok=True)
    file = {"path": str(path), "bytes": 1, "sha256": "0"}
    entry = {"name": name, "quant": "", "files": [file], "source": name, "date": name}
    (folder / "evil.json").write_text(json.dumps(entry))


def test_names_of_strangers_steer_nothing(tiny_path: Path) -> None:
    """In a manifest and in a models.toml, wherever they are printed."""
    write_manifest(EVIL, tiny_path)
    (paths.config_dir() / "models.toml").write_text(
        '[small]\nlicence = "MIT\\u001b[2J"\nbase = "\\u009b2J"\n'
        '[small.quants.Q8_0]\nrepo = "some/repo"\nfiles = ["small.gguf"]\n'
    )
    for arguments in (("verify",), ("show", "small"), ("models",)):
        result = run(*arguments)
        assert len(result.out + result.err) > 5
        assert not STEERS.search(result.out + result.err), arguments


def test_completion_offers_nothing_that_steers(tiny_path: Path) -> None:
    write_manifest(EVIL, tiny_path)
    environment = {
        "_MINIREASON_COMPLETE": "complete_bash",
        "COMP_WORDS": "minireason rm ",
        "COMP_CWORD": "2",
    }
    program = str(Path(sys.executable).with_name("minireason"))
    done = subprocess.run(
        [program], env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert not STEERS.search(done.stdout + done.stderr)
    assert "a" not in done.stdout.split(), "what cannot be typed is not offered"


def test_a_servers_warning_steers_nothing(tiny_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub({"some/repo/small.gguf": tiny_path.read_bytes()})
    hub.warning = "topic; beware\x1b[2J\x9b31m"
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    result = run("pull", "hf:some/repo/small.gguf", "--yes")
    hub.close()
    assert "beware" in result.err
    assert not STEERS.search(result.out + result.err)
