"""The child's own side of `host.child`: it limits itself, and then does its work."""

from __future__ import annotations

import faulthandler
from contextlib import suppress
from importlib import import_module


def main(arguments: list[str]) -> None:
    """Limit this process, then run `main` of a module with the rest of the arguments.

    The first three are the limit of memory in bytes, the seconds after which the process ends
    itself (0: never), and the module.
    """
    memory_bytes, expires_s, module, *rest = arguments
    _limit_memory(int(memory_bytes))
    if float(expires_s):
        expire(float(expires_s))
    import_module(module).main(rest)


def expire(seconds: float) -> None:
    """End this process after a while, also from within the C library.

    The parent's deadline comes first; this one is for a child whose parent is gone.
    """
    faulthandler.dump_traceback_later(seconds, exit=True, file=2)


def cancel_expiry() -> None:
    """Take back what `expire` said."""
    faulthandler.cancel_dump_traceback_later()


def _limit_memory(memory_bytes: int) -> None:
    """Limit the memory of this process, and let it leave no core file.

    What crashes here may be as large as a model.
    """
    try:
        import resource
    except ImportError:  # Windows: the deadline remains
        return
    for kind, limit in ((resource.RLIMIT_DATA, memory_bytes), (resource.RLIMIT_CORE, 0)):
        _, most = resource.getrlimit(kind)
        soft = limit if most == resource.RLIM_INFINITY else min(limit, most)
        with suppress(OSError, ValueError):  # a system that cannot
            resource.setrlimit(kind, (soft, soft))
