"""Imports only go down, and what needs the C library is imported late."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import minireason

ROOT = Path(minireason.__file__).parent
WORDS = {"checks", "errors", "events", "settings", "solution"}
ALLOWED = {
    **dict.fromkeys(WORDS, WORDS),
    "host": WORDS,
    "models": WORDS | {"host"},
    "engine": WORDS | {"host"},
    "answers": WORDS | {"host"},
    "reasoning": WORDS | {"answers", "host"},
    "generation": WORDS | {"answers", "engine", "reasoning"},
    "stream": WORDS | {"engine", "generation"},
    "prefill": WORDS | {"engine", "reasoner"},
    "history": WORDS,
    "journal": {"host"},
    "transcript": WORDS | {"history", "host", "journal", "models"},
    "reasoner": WORDS
    | {
        "answers",
        "engine",
        "reasoning",
        "models",
        "generation",
        "stream",
        "session",
        "prefill",
        "solve",
    },
    "manage": WORDS | {"models", "reasoner"},
    "session": WORDS | {"reasoner", "reasoning", "stream", "prefill", "history", "transcript"},
    "chains": WORDS | {"answers", "reasoning", "models", "reasoner", "stream"},
    "parallel": WORDS | {"reasoner", "stream"},
    "solve": WORDS | {"reasoning", "reasoner", "stream", "parallel", "chains"},
    "evaluation": WORDS
    | {
        "answers",
        "reasoning",
        "host",
        "models",
        "reasoner",
        "stream",
        "parallel",
        "chains",
        "journal",
        "__version__",
    },
    "tiny": set(),
    "__init__": WORDS | {"history", "manage", "reasoner", "session", "solve", "stream"},
    "__main__": {"cli"},
    "cli": WORDS
    | {
        "host",
        "models",
        "reasoning",
        "reasoner",
        "session",
        "stream",
        "history",
        "transcript",
        "evaluation",
        "chains",
        "__version__",
    },
}


def imported(path: Path) -> set[str]:
    """Modules of ours and of others that a file imports, ours as "minireason.x..."."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_only_go_down(path: Path) -> None:
    floor = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "minireason" and len(parts) > 1:
            assert parts[1] in ALLOWED[floor] | {floor}, f"{floor} imports {name}"


@pytest.mark.parametrize(
    ("library", "only"),
    [
        ("llama_cpp", {"engine/library.py"}),
        ("llguidance", {"reasoning/constraint.py"}),
        (
            "rich",
            {
                f"cli/{name}.py"
                for name in (
                    "blocks code formula grid inline live markdown matrix output region render"
                    " render_eval render_vote table"
                ).split()
            },
        ),
        ("matplotlib", {"evaluation/plot.py"}),
        ("prompt_toolkit", {"cli/chat/editor.py"}),
        ("pylatexenc", {"cli/symbols.py"}),
    ],
)
def test_library_has_its_importers(library: str, only: set[str]) -> None:
    importers = {
        str(path.relative_to(ROOT))
        for path in FILES
        if any(name.split(".")[0] == library for name in imported(path))
    }
    assert importers == only


@pytest.mark.parametrize(
    "code", ["import minireason", "from minireason.cli.main import main; main(['--help'])"]
)
def test_light_imports(code: str) -> None:
    heavy = (
        "llama_cpp",
        "numpy",
        "jinja2",
        "huggingface_hub",
        "llguidance",
        "pydantic",
        "prompt_toolkit",
        "pylatexenc",
    )
    script = f"{code}\nimport sys; loaded = [name for name in {heavy} if name in sys.modules]; assert not loaded, loaded"
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
