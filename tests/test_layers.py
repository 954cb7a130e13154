"""Imports only go down, private names stay private, and heavy libraries load late."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rooms import APART, ROOT, floor, module

FILES = sorted(ROOT.rglob("*.py"))

MODULES = {module(path) for path in FILES}


def walked(path: Path) -> Iterator[ast.AST]:
    """The nodes of a file's syntax."""
    return ast.walk(ast.parse(path.read_text("utf-8")))


@functools.cache
def imported(path: Path) -> frozenset[str]:
    """What a file imports, "package.name" of each; late imports and those of type checkers too."""
    names = set()
    for node in walked(path):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def ours(path: Path) -> set[str]:
    """The modules of ours that a file imports."""
    modules = set()
    for name in imported(path):
        if not name.startswith("minireason."):
            continue
        own = name.removeprefix("minireason.")
        while own and own not in MODULES:
            own = own.rpartition(".")[0]
        modules.add(own or "__init__")
    return modules


def test_imports_only_go_down() -> None:
    for path in FILES:
        own = floor(module(path))
        for name in ours(path):
            assert floor(name) <= own, f"{module(path)} imports {name}"


@pytest.mark.parametrize("room", APART)
def test_of_a_model_these_rooms_know_the_backend_alone(room: str) -> None:
    others = set(APART[room].split())
    for path in (ROOT / room).rglob("*.py"):
        for name in ours(path):
            assert name.split(".")[0] not in others, f"{module(path)} imports {name}"


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {module(path): ours(path) - {module(path)} for path in FILES}
    while leaves := [name for name, needs in graph.items() if not needs & graph.keys()]:
        for name in leaves:
            del graph[name]
    assert not graph, f"a circle is among {sorted(graph)}"


def private_names(path: Path) -> tuple[set[str], dict[str, int]]:
    """The private names that a file makes, of functions, classes, variables and attributes.

    And those that it uses, with the line of each.
    """
    made, used = set(), {}
    for node in walked(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            made.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            used |= {alias.name: node.lineno for alias in node.names}
        elif isinstance(node, ast.Attribute):
            used[node.attr] = node.lineno
            if isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name):
                made |= {node.attr} if node.value.id in ("self", "cls") else set()
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            made.add(node.id)
    return set(filter(is_private, made)), {name: used[name] for name in filter(is_private, used)}


def is_private(name: str) -> bool:
    """Whether it begins with one underscore."""
    return name.startswith("_") and not name.startswith("__")


PROGRAMS = [
    path
    for folder in ("tests", "bench", "examples")
    for path in (ROOT.parent / folder).rglob("*.py")
]


def test_nothing_reaches_into_private_names() -> None:
    names = {path: private_names(path) for path in [*FILES, *PROGRAMS]}
    private = set().union(*(names[path][0] for path in FILES))
    reached = [
        f"{path}, line {line}: {name}"
        for path, (made, used) in names.items()
        for name, line in used.items()
        if name in private - made
    ]
    assert not reached


@pytest.mark.parametrize(
    ("library", "only"),
    [
        ("llama_cpp", {"engine/library.py"}),
        ("filelock", {"host/lock.py"}),
        ("llguidance", {"reasoning/structured/follower.py", "reasoning/structured/grammar.py"}),
        (
            "rich",
            {
                f"cli/terminal/{name}.py"
                for name in (
                    "answer bench_report live meter notes output progress region"
                    " table thinking transfer vote_board wrapping markdown/code markdown/document"
                    " markdown/inline markdown/tables latex/formula latex/matrix"
                ).split()
            },
        ),
        ("matplotlib", {"picture.py", "benchmark/plot.py", "evaluation/plot.py"}),
        ("ray", {"batch/cluster.py", "batch/ray.py"}),
        ("prompt_toolkit", {"cli/chat/editor.py"}),
        ("pylatexenc", {"cli/terminal/latex/symbols.py"}),
    ],
)
def test_library_has_its_importers(library: str, only: set[str]) -> None:
    importers = {
        str(path.relative_to(ROOT))
        for path in FILES
        if any(name.split(".")[0] == library for name in imported(path))
    }
    assert importers == only


@pytest.mark.parametrize("library", ["starlette", "uvicorn", "prometheus_client"])
def test_libraries_of_the_server_stay_there(library: str) -> None:
    for path in FILES:
        if library in {name.split(".")[0] for name in imported(path)}:
            assert module(path).startswith("server."), f"{module(path)} imports {library}"


@pytest.mark.parametrize(
    "code", ["import minireason", "from minireason.cli.main import main; main(['--help'])"]
)
def test_light_imports(code: str) -> None:
    heavy = (
        "llama_cpp",
        "numpy",
        "anyio",
        "jinja2",
        "email",
        "huggingface_hub",
        "llguidance",
        "pydantic",
        "prompt_toolkit",
        "pylatexenc",
        "starlette",
        "uvicorn",
        "prometheus_client",
        "ray",
    )
    loaded = f"loaded = [name for name in {heavy} if name in sys.modules]"
    script = f"{code}\nimport sys\n{loaded}\nassert not loaded, loaded"
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_the_root_holds_what_is_meant_to_be_there() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT.parent, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("this is no checkout")
    texts = "CHANGELOG.md CONTRIBUTING.md LICENSE README.md SECURITY.md STYLE.md"
    settings = ".gitignore .pre-commit-config.yaml mkdocs.yml models.toml pyproject.toml"
    folders = ".ci .github bench docs examples minireason scripts tests"
    meant = set(f"{texts} {settings} {folders}".split())
    assert {name.split("/")[0] for name in listed.stdout.splitlines()} <= meant
