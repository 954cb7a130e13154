"""The C bindings are loaded without the rest of llama_cpp, and leave that as it is for others."""

from __future__ import annotations

import subprocess
import sys

import pytest

OURS = """
import minireason
reasoner = minireason.load("tiny", n_threads=1)
assert reasoner.ask("What is 1 + 1?").boxed == "2"
"""
THEIRS = """
import llama_cpp
from pathlib import Path
import minireason
path = Path(minireason.__file__).parent / "tiny" / "tiny.gguf"
assert llama_cpp.llama_cpp.llama_n_ctx is llama_cpp.llama_n_ctx
assert llama_cpp.Llama(str(path), n_ctx=64, n_threads=1, verbose=False).tokenize(b"1")
"""
ALONE = """
import sys
assert not [name for name in sys.modules if name.partition(".")[0] in ("llama_cpp", "jinja2")]
"""


def python(script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "script", [OURS + ALONE + THEIRS + OURS, THEIRS + OURS + THEIRS], ids=["ours", "theirs"]
)
def test_either_may_come_first(script: str) -> None:
    python(script)


def test_the_log_is_ours_again_after_llama_cpp_took_it() -> None:
    damaged = """
from pathlib import Path
from minireason.engine import library
from minireason.engine.model import Model
Path("damaged.gguf").write_bytes(b"GGUF" + bytes(20))
"""
    python(
        f"""
import os, tempfile
os.chdir(tempfile.mkdtemp())
{OURS + THEIRS + damaged}
try:
    Model(Path("damaged.gguf"))
except minireason.ModelFileError:
    pass
assert library.log_tail()
"""
    )
