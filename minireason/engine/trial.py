"""Use a model file in a child process first.

A damaged one can abort or hang the process that loads it.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from minireason.errors import EngineError, LogitsNotFinite, MinireasonError, ModelFileError
from minireason.host import child, hardware

if TYPE_CHECKING:  # the library is loaded in the child, not by who starts it
    from minireason.engine.context import Context
    from minireason.engine.model import Model

START_S = 120.0
"""For Python and the libraries to start, on a cold and busy machine."""

READ_BYTES_PER_S = 20 * 2**20
"""What the deadline grants for each byte of the weights.

A slow disk, or one core that computes its first tokens.
"""

MEMORY_BYTES = 4 * 2**30
"""For vocabulary, buffers and threads; weights that are rearranged come on top."""

NEEDED_BYTES = 2**30
"""More than a whole file ever takes beside its weights."""

_SAMPLE = "Hello, wörld! 漢字 🙂 x = 3.14\n\n\tIt's 2+2=4."
_PROMPT_TOKENS, _NEW_TOKENS = 6, 3
_STARTED, _FINE, _FILE, _ENGINE = "started", "fine", "file: ", "engine: "
_NO_MEMORY = ("bad_alloc", "MemoryError", "failed to allocate", "unable to allocate")
_CRASHED = "llama.cpp crashed while opening it, so the file is damaged; download it again"
_NO_NUMBERS = "it computes values that are no numbers, so it is damaged; download it again"
_TOO_LONG = "it took too long, as a damaged file can, and so can a busy machine"
_TOO_MUCH = (
    "it asks for more memory than a file of its size can need, so it is damaged; download it again"
)
_OTHER_CPU = "llama.cpp was built for another CPU; install llama-cpp-python again"

# Nobody who reads a file sends these to himself. Windows has only some of them.
_FROM_OUTSIDE = frozenset(
    getattr(signal, name)
    for name in ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")
    if hasattr(signal, name)
)


def run(
    path: Path, *, repack: bool = False, weight_bytes: int | None = None, template: str = ""
) -> None:
    """Load the file in a child process, as it will be loaded, and generate some tokens.

    `weight_bytes` are those of all parts of a split model (None: the file's), `template` is
    tokenized as well. Raises ModelFileError if the file does not pass, and EngineError if that says
    nothing about the file: the child could not start, had no time or no memory.
    """
    try:
        size = path.stat().st_size if weight_bytes is None else weight_bytes
        limits = child.Limits(START_S + size / READ_BYTES_PER_S, MEMORY_BYTES + 2 * size * repack)
        arguments = [os.path.abspath(path), *(["--repack"] if repack else [])]
        request = template.encode("utf-8", "replace")
        ended = child.run(__name__, *arguments, limits=limits, request=request)
    except OSError as error:
        raise _not_tried(path, f"no process could be started: {error}") from None
    needed_bytes = NEEDED_BYTES + size * (3 if repack else 1)
    _judge(path, ended, limited=needed_bytes > min(limits.memory_bytes, hardware.free_bytes()))


def _judge(path: Path, ended: child.Ended, *, limited: bool) -> None:
    """Raise the error that the end of a child stands for.

    `limited`: a whole file of this size may need more memory than there was.
    """
    said = ended.output.decode("utf-8", "replace").splitlines()
    last = said[-1] if said else ""
    if last == _FINE and ended.status == 0:
        return
    if any(words in last + ended.reason for words in _NO_MEMORY):
        if not limited:
            raise ModelFileError(path, _TOO_MUCH)
        raise _not_tried(path, "there is not enough memory")
    if last.startswith(_ENGINE):
        raise _not_tried(path, last.removeprefix(_ENGINE))
    if last.startswith(_FILE):
        raise ModelFileError(path, last.removeprefix(_FILE))
    if ended.cut == "time":
        raise _not_tried(path, _TOO_LONG)
    if not said:
        raise _not_tried(path, f"the process for it did not start: {ended.reason}")
    if -ended.status in _FROM_OUTSIDE:
        raise _not_tried(path, "something ended the process, perhaps for want of memory")
    if -ended.status == signal.SIGILL:
        raise _not_tried(path, _OTHER_CPU)
    if ended.status == 1:  # an exception of Python's, and so of ours
        raise _not_tried(path, ended.reason)
    raise ModelFileError(path, _CRASHED)


def _not_tried(path: Path, problem: str) -> EngineError:
    message = f"{path} could not be tried in a process of its own ({problem})"
    return EngineError(f"{message}; nothing was done to the file, so try again.")


def main(arguments: list[str]) -> None:
    """The child: the last line on standard output says what became of the file.

    Where there is none, it crashed.
    """
    os.environ["GGML_NO_BACKTRACE"] = "1"  # where there is a debugger, a crash would start it
    from minireason.engine.model import Model

    _say(_STARTED)
    template = sys.stdin.buffer.read().decode("utf-8")
    path = Path(arguments[0])
    try:
        with closing(Model(path, n_gpu_layers=0, repack="--repack" in arguments)) as model:
            _use(path, model, template)
        _say(_FINE)
    except ModelFileError as error:
        _say(_FILE + error.problem)
    except MinireasonError as error:
        _say(_ENGINE + str(error))
    except MemoryError:
        _say(_ENGINE + "not enough memory")


def _use(path: Path, model: Model, template: str) -> None:
    """What a reply does with a model, from the vocabulary to the samplers."""
    from minireason.engine.context import Context
    from minireason.engine.context_params import ContextParams
    from minireason.engine.room import CacheShape

    for token in {*range(model.vocabulary.n_vocab), *model.vocabulary.eog}:
        model.vocabulary.piece(token)
    sample = model.vocabulary.tokenize(_SAMPLE, parse_special=False)
    model.vocabulary.tokenize(template, parse_special=True)
    prompt = [*([] if model.vocabulary.bos is None else [model.vocabulary.bos]), *sample][
        :_PROMPT_TOKENS
    ]
    if not prompt:
        raise ModelFileError(path, "its vocabulary has no tokens for ordinary text")
    for flash in (True, False):
        params = ContextParams(n_batch=32, n_ubatch=32, n_threads=1, flash_attention=flash)
        with closing(Context(model, CacheShape(1, 256), params)) as context:
            _generate(path, context, prompt, 1 if flash else _NEW_TOKENS)


def _generate(path: Path, context: Context, prompt: list[int], count: int) -> None:
    """Compute the prompt and sample tokens after it.

    Raises ModelFileError if that fails or gives what are no numbers.
    """
    from minireason.engine import sampler
    from minireason.engine.base import Batch

    tokens, position = prompt, 0
    with closing(sampler.SamplerChain(sampler.links(0.6, 0.95, 256, 1))) as chain:
        for draw in range(count):
            size = len(tokens)
            try:
                context.decode(Batch.of_slot(0, tokens, position))
                tokens, position = [context.sample(chain, size - 1, draw)], position + size
            except LogitsNotFinite:
                raise ModelFileError(path, _NO_NUMBERS) from None
            except EngineError as error:
                raise ModelFileError(
                    path, f"its first tokens cannot be computed: {error}"
                ) from None


def _say(line: str) -> None:
    sys.stdout.buffer.write(" ".join(line.splitlines()).encode("utf-8", "replace") + b"\n")
    sys.stdout.buffer.flush()
