"""Where the client is not installed (extra `test-server`), its tests are left out."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore = [] if find_spec("ollama") else ["test_client.py"]
