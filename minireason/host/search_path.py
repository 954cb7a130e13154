"""Where a child process imports from."""

from __future__ import annotations

import os
import sys
import sysconfig


def inherited() -> list[str]:
    """The folders and zip files that a child imports from: the parent's, but for those of chance.

    Left out are the folder where the user stands, and stood when this program started, however they
    are spelt, and the script's. The Python installation stays, even if he stands in it. All that is
    left comes in the parent's order, so the standard library goes before whatever the parent has
    behind it.
    """
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    standing = {_STARTED_IN, _real(os.curdir), _real(os.environ.get("PWD") or os.curdir)}
    folders = standing | ({_real(os.path.dirname(script))} if script else set())
    chance = {folder for folder in folders if os.path.isdir(folder)} - _installed()
    path = []
    for entry in sys.path:
        if not isinstance(entry, str) or not entry or os.pathsep in entry:
            continue  # "" is where the user stands; one with a separator would become two others
        whole = entry if os.path.isabs(entry) else os.path.join(_current(), entry)
        if os.path.isabs(whole) and os.path.exists(whole) and _real(whole) not in chance:
            path.append(whole)
    return path


def _current() -> str:
    """Where the user stands, "" if that was removed."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def _real(path: str) -> str:
    try:
        return os.path.normcase(os.path.realpath(path))
    except OSError:  # relative to a folder that was removed
        return ""


_STARTED_IN = _real(os.curdir)


def _installed() -> set[str]:
    kinds = ("stdlib", "platstdlib", "purelib", "platlib")
    return {_real(sysconfig.get_path(kind)) for kind in kinds}
