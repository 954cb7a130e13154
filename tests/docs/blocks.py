"""The blocks of Python and shell in the pages, run in order by sybil, a page at a time.

A block of `output` is what the block before it prints; `...` in it stands for anything, as in
doctests. `<!-- no-run: reason -->` before a block says that it is not run, and why.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import subprocess
import sys
from pathlib import Path

from sybil import Document, Example, Region, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

_NO_RUN = re.compile(r"<!-- no-run: \S.+ -->\n+[ >]*\Z")
_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
_PRINTED = "_printed"


def is_run(document: Document, region: Region) -> bool:
    """Whether a block has no mark that it is not to be run."""
    return not _NO_RUN.search(document.text[: region.start])


class BlocksToRun(CodeBlockParser):
    """The blocks of one language, without those that are marked as not to be run."""

    def __call__(self, document: Document) -> list[Region]:
        return [region for region in super().__call__(document) if is_run(document, region)]


def run_python(example: Example) -> None:
    """Execute a block in the names of its page, and keep what it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        PythonEvaluator()(example)
    example.namespace[_PRINTED] = printed.getvalue()


def run_shell(example: Example) -> None:
    """Run a block as bash does, up to the first command that fails, and keep what it prints."""
    folders = [str(Path(sys.executable).parent), os.environ["PATH"]]
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", str(example.parsed)],
        env={**os.environ, "PATH": os.pathsep.join(folders)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    place = f"{example.path}, line {example.line}"
    assert done.returncode == 0, f"{place}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
    example.namespace[_PRINTED] = done.stdout


def compare_output(example: Example) -> None:
    """Compare a block with what the one before it printed."""
    printed, wanted = str(example.namespace.pop(_PRINTED)), str(example.parsed)
    checker = doctest.OutputChecker()
    if not checker.check_output(wanted, printed, _FLAGS):
        difference = checker.output_difference(doctest.Example("", wanted), printed, _FLAGS)
        raise AssertionError(f"{example.path}, line {example.line}:\n{difference}")


def page(path: Path) -> Document:
    """A page, with everything in it that is run."""
    parsers = [
        BlocksToRun("python", run_python),
        BlocksToRun("bash", run_shell),
        BlocksToRun("output", compare_output),
    ]
    return Sybil(parsers).parse(path)


def python_of(path: Path) -> str:
    """All Python of a page in order, those blocks too that are not run."""
    parsed = Sybil([CodeBlockParser("python", run_python)]).parse(path)
    return "\n".join(str(example.parsed) for example in parsed.examples())
