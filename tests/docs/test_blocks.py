"""The pages keep their word: every block runs, offline, with the built-in model alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, ROOT, page, python_of

RUN = {"python", "bash", "output"}
SHOWN = {"json", "toml", "text", "mermaid", "yaml"}
SLOW = {f"docs/guide/{name}.md" for name in ("chat", "command-line", "evaluation", "votes")}
_FENCE = re.compile(r"^ *(```+)(.*)$", re.MULTILINE)


def name(path: Path) -> str:
    """How a page is called in the repository."""
    return path.relative_to(ROOT).as_posix()


def marked(path: Path) -> object:
    """A page as a parameter, marked if it takes longer than a few seconds."""
    marks = [pytest.mark.slow] if name(path) in SLOW else []
    return pytest.param(path, id=name(path), marks=marks)


@pytest.mark.skipif("sys.platform == 'win32'", reason="the pages' shell is bash")
@pytest.mark.parametrize("path", [marked(path) for path in PAGES])
def test_blocks_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MINIREASON_OFFLINE", "1")
    for example in page(path).examples():
        example.evaluate()


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_languages_are_known(path: Path) -> None:
    fences = _FENCE.findall(path.read_text("utf-8"))
    opened = {language.strip() for _, language in fences[::2]}
    assert opened <= RUN | SHOWN, "a block in another language is run by nobody"
    assert not [closing for _, closing in fences[1::2] if closing.strip()], "a block is not closed"


@pytest.mark.slow
def test_python_is_typed(tmp_path: Path) -> None:
    api = pytest.importorskip("mypy.api", reason="mypy comes with the extra dev")
    files = [str(path) for path in sorted((ROOT / "examples").glob("*.py"))]
    for path in PAGES:
        if source := python_of(path):
            file = tmp_path / f"{re.sub('[^a-zA-Z]', '_', name(path))}.py"
            file.write_text(source, "utf-8")
            files.append(str(file))
    config = [
        "--config-file",
        str(ROOT / "pyproject.toml"),
        "--cache-dir",
        str(ROOT / ".mypy_cache"),
    ]
    printed, errors, code = api.run([*config, "--strict", *files])
    assert code == 0, f"{printed}{errors}"
