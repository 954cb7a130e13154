"""Draw which room imports which: `python bench/imports.py docs/images/imports.svg`.

Needs grimp (extra `dev`) and graphviz's `dot`. An arrow that follows from others is left out.
"""

from __future__ import annotations

import subprocess
import sys

import grimp

WORDS = "words"
WORD_FILES = "version closing errors checks picture messages events settings".split()
TOP = ("__init__", "__main__", "manage", "testing")
"""Files that only hand on what is below."""

Graph = dict[str, set[str]]


def room(module: str) -> str:
    """The room that a module belongs to; "" for those that are in none."""
    name = module.removeprefix("minireason").lstrip(".").split(".")[0]
    if name in WORD_FILES:
        return WORDS
    return "" if name in TOP else name


def rooms() -> Graph:
    """Which rooms each room imports, as the files do, imports of type checkers included."""
    files = grimp.build_graph("minireason", cache_dir=None)
    graph: Graph = {}
    for file in files.modules:
        own = room(file)
        if not own:
            continue
        imported = {room(other) for other in files.find_modules_directly_imported_by(file)}
        graph.setdefault(own, set()).update(imported - {own, ""})
    return graph


def below(graph: Graph, name: str) -> set[str]:
    """Every room that a room imports, itself or by way of others."""
    reached: set[str] = set()
    waiting = list(graph[name])
    while waiting:
        other = waiting.pop()
        if other not in reached:
            reached.add(other)
            waiting.extend(graph[other])
    return reached


def arrows(graph: Graph) -> set[tuple[str, str]]:
    """The arrows to draw: from each room to those that it reaches by no other way."""
    drawn = set()
    for name, imported in graph.items():
        indirect = set[str]().union(*(below(graph, other) for other in imported))
        drawn |= {(name, other) for other in imported - indirect}
    return drawn


def main() -> None:
    """Write the picture."""
    lines = [f'"{name}" -> "{other}"' for name, other in sorted(arrows(rooms()))]
    style = 'node [shape=box style=rounded fontname="sans-serif" fontsize=12 height=0.35]'
    dot = "\n".join(["digraph rooms {", "bgcolor=white", style, *lines, "}"])
    subprocess.run(["dot", "-Tsvg", "-o", sys.argv[1]], input=dot, text=True, check=True)


if __name__ == "__main__":
    main()
