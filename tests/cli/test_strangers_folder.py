"""The program in a folder full of somebody else's files: none of them is run."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

NAMES = (
    "jinja2 json sympy random types math_verify numpy llama_cpp typer rich sitecustomize "
    "usercustomize minireason/__init__ minireason/__main__ minireason/host/child"
).split()
PROGRAM = Path(sysconfig.get_path("scripts"), "minireason")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a user stands: every file of it writes a file beside it when it is run."""
    folder = tmp_path / "folder"
    (tmp_path / "marks").mkdir()
    for name in NAMES:
        mark = tmp_path / "marks" / name.replace("/", "-")
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"open({str(mark)!r}, 'w').close()\n")
    return folder


def run(
    folder: Path, command: list[str], question: str = "Say yes or no."
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        input=question,
        capture_output=True,
        text=True,
        check=False,
    )


def marks(folder: Path) -> list[str]:
    return [path.name for path in (folder.parent / "marks").iterdir()]


def test_the_traps_work(folder: Path) -> None:
    subprocess.run([sys.executable, "-c", "import minireason, sympy"], cwd=folder, check=True)
    assert set(marks(folder)) >= {"minireason-__init__", "sympy"}


@pytest.mark.first_start
def test_ask_and_solve(folder: Path, smollm2_path: Path) -> None:
    """The first one tries the file, both run its template."""
    options = f"--model {smollm2_path} --max-tokens 8 --seed 1 --threads 1".split()
    for command in (["ask"], ["solve", "-n", "2", "--json"]):
        done = run(folder, [str(PROGRAM), *command, *options])
        assert done.returncode in (0, 7), done  # 8 tokens may be no whole answer
        assert done.stdout.strip(), done
        assert "damaged" not in done.stderr
        assert marks(folder) == []


def test_math_verify(folder: Path) -> None:
    code = "from minireason.answers import same; print(same('x(x+1)', 'x^2+x'))"
    done = run(folder, [sys.executable, "-P", "-c", code])
    assert done.stdout == "True\n", done
    assert marks(folder) == []


def test_python_m_looks_no_further_there_once_it_has_begun(folder: Path) -> None:
    """What Python takes before our first line is out of our hands; the libraries are not."""
    for name in NAMES:
        if name.startswith("minireason") or name in ("types", "random", "json"):
            (folder / f"{name}.py").unlink()
    (folder / "minireason" / "host").rmdir()
    (folder / "minireason").rmdir()
    done = run(folder, [sys.executable, "-m", "minireason", "--help"])
    assert done.returncode == 0, done
    assert set(marks(folder)) <= {"sitecustomize", "usercustomize"}


def test_the_users_own_python_path_still_counts(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "jinja2.py").write_text("raise ImportError('an own jinja2')")
    code = "from minireason.reasoning.template import render; render('{{ 1 }}', [], {})"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(own)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "an own jinja2" in done.stderr
    assert marks(folder) == []
