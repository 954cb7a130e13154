"""Pictures that matplotlib draws: whether one can be written to a path, and writing it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from minireason.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")


def check(path: Path) -> None:
    """Raise UsageError if no picture can be drawn there, before time is spent on what it shows."""
    if not find_spec("matplotlib"):
        raise UsageError("Plots need matplotlib; install it with: pip install 'minireason[bench]'.")
    if path.suffix.lower() not in FORMATS:
        raise UsageError(
            f"A plot cannot be written as {path.name}; let its name end in {', '.join(FORMATS)}."
        )
    if not path.parent.is_dir():
        raise UsageError(
            f"There is no directory {path.parent} for the plot; make it, or name another."
        )


def figure(width: float, height: float) -> Figure:
    """An empty picture of so many inches."""
    from matplotlib import figure as drawing

    return drawing.Figure(figsize=(width, height), layout="constrained")


def write(picture: Figure, path: Path) -> None:
    """Write the picture; raises UsageError if it cannot be written."""
    try:
        picture.savefig(path, dpi=150)
    except OSError as error:
        raise UsageError(
            f"The plot cannot be written to {path} ({error.strerror}); name another file."
        ) from None
