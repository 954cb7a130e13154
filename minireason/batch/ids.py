"""A set of ids that may be larger than memory."""

from __future__ import annotations

import sqlite3

from minireason.errors import StoreError

_CACHE_KIB = 4 * 1024


class Ids:
    """A set of texts in a temporary file of SQLite's, of which memory holds a few MiB.

    The file has no name and is gone with the process. Raises StoreError where the folder for
    temporary files has no room.
    """

    def __init__(self) -> None:
        self._table = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for statement in (
            "PRAGMA journal_mode=OFF",
            f"PRAGMA cache_size=-{_CACHE_KIB}",
            "CREATE TABLE ids (id TEXT PRIMARY KEY) WITHOUT ROWID",
            "BEGIN",  # and never an end: nothing of it is to be kept
        ):
            self._table.execute(statement)

    def add(self, name: str) -> bool:
        """Put an id in; False if it is there already."""
        return self._run("INSERT OR IGNORE INTO ids VALUES (?)", name).rowcount > 0

    def __contains__(self, name: str) -> bool:
        return self._run("SELECT 1 FROM ids WHERE id = ?", name).fetchone() is not None

    def _run(self, statement: str, name: str) -> sqlite3.Cursor:
        try:
            return self._table.execute(statement, (name,))
        except sqlite3.Error as error:
            raise StoreError(
                f"The list of ids cannot be kept in the folder for temporary files ({error}); "
                "make room there, or name another with TMPDIR."
            ) from None

    def close(self) -> None:
        """Remove the file."""
        self._table.close()
