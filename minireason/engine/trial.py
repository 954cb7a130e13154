"""Open a model file in a child process first: a damaged one can abort the process that loads it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from minireason.errors import MinireasonError, ModelFileError


def run(path: Path, *, repack: bool = False) -> None:
    """Load the file once in a child process, as it will be loaded; raises ModelFileError if that fails or dies."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    command = [sys.executable, "-m", __name__, str(path), *(["--repack"] if repack else [])]
    child = subprocess.run(
        command, capture_output=True, stdin=subprocess.DEVNULL, check=False, env=environment
    )
    if child.returncode == 3:
        raise ModelFileError(path, child.stdout.decode("utf-8", "replace").strip())
    if child.returncode:
        raise ModelFileError(
            path, "llama.cpp crashed while opening it, so the file is damaged; download it again"
        )


def main() -> None:
    """The child: exit status 0, or 3 with the problem on standard output, or whatever a crash gives."""
    from minireason.engine.llama import Context, Model

    path = Path(sys.argv[1])
    try:
        model = Model(path, n_gpu_layers=0, repack="--repack" in sys.argv[2:])
        Context(model, n_ctx=256, n_batch=32, n_seq_max=1, n_threads=1).close()
        model.close()
    except ModelFileError as error:
        print(error.problem)
        sys.exit(3)
    except MinireasonError as error:
        print(error)
        sys.exit(3)


if __name__ == "__main__":
    main()
