"""The C library: its log, its structs and its functions without a binding.

The only module that imports llama_cpp. Signatures and meanings: llama.h and ggml-backend.h of the
llama.cpp that llama-cpp-python vendors. `tests/native/test_llama.py` lists every function and
struct field in use, since ctypes takes a misspelt or removed field without a word.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from collections import deque
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minireason.errors import BackendMissing


def _bindings() -> Any:
    """Import the C bindings alone; raises ImportError, or what they raise.

    The package llama_cpp imports its own chat formats, caches and jinja2 before its bindings can be
    had, which would be a tenth of a start of ours. So a package that has not run stands in for it
    meanwhile. Nothing of it stays: whoever imports llama_cpp later gets it whole.
    """
    if "llama_cpp" in sys.modules:
        return import_module("llama_cpp.llama_cpp")
    spec = find_spec("llama_cpp")
    if spec is None:
        raise ImportError("there is no llama_cpp")
    sys.modules["llama_cpp"] = module_from_spec(spec)
    try:
        return import_module("llama_cpp.llama_cpp")
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "llama_cpp"]:
            del sys.modules[name]


try:
    if TYPE_CHECKING:
        from llama_cpp import llama_cpp as C
    else:
        C = _bindings()
except (ImportError, OSError, RuntimeError) as error:
    raise BackendMissing(
        f"The llama.cpp library could not be loaded ({error}); install it again: "
        f"pip install --force-reinstall llama-cpp-python."
    ) from error

__all__ = [
    "C",
    "clear_log",
    "commit",
    "fill",
    "ggml",
    "init",
    "listen",
    "log_tail",
    "name_of_tensor",
]

_log_lines: deque[str] = deque(maxlen=40)
_listeners: list[Callable[[str], None]] = []


def _on_log(level: int, text: bytes, _data: Any) -> None:
    line = text.decode("utf-8", "replace").strip()
    for listener in _listeners:
        listener(line)
    if level in (3, 4) and line:  # 1 debug, 2 info, 3 warning, 4 error, 5 continuation
        _log_lines.append(line)


_log_callback = C.llama_log_callback(_on_log)  # kept here: C holds no reference


def init() -> None:
    """Start the library and take its log, which llama_cpp takes too when somebody imports it.

    To be called before anything else of it.
    """
    C.llama_log_set(_log_callback, None)
    _start()


@functools.cache
def _start() -> None:
    C.llama_backend_init()


def listen(listener: Callable[[str], None]) -> None:
    """Have a function told every line of the library's log from now on, whatever its level."""
    _listeners.append(listener)


def clear_log() -> None:
    _log_lines.clear()


def log_tail() -> str:
    """The last warnings and errors of the library."""
    return "; ".join(list(_log_lines)[-2:])


def fill(params: Any, **values: Any) -> Any:
    """Set struct fields by name, refusing names that the struct does not have."""
    for name, value in values.items():
        if not hasattr(type(params), name):
            raise BackendMissing(
                f"This llama-cpp-python has no {type(params).__name__}.{name}; "
                f"install the version that minireason asks for."
            )
        setattr(params, name, value)
    return params


def ggml(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    """The function ggml_backend_NAME, out of libllama or what it pulls in.

    Its handle finds them all, except on Windows.
    """
    return _function(f"ggml_backend_{name}", result, *arguments)


def commit() -> str:
    """The commit of ggml that the library was built of."""
    return str(_function("ggml_commit", ctypes.c_char_p)().decode("utf-8", "replace"))


def name_of_tensor(tensor: int) -> bytes:
    """The name of a node of a graph, such as b"l_out-0"."""
    return bytes(_get_name()(tensor))


@functools.cache
def _get_name() -> Callable[..., Any]:
    return _function("ggml_get_name", ctypes.c_char_p, ctypes.c_void_p)


def _function(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    libllama = vars(C)["_lib"]  # llama_cpp has no public name for it
    for library in (libllama, *_ggml_libraries()):
        try:
            function = library[name]
        except AttributeError:
            continue
        return ctypes.CFUNCTYPE(result, *arguments)(
            ctypes.cast(function, ctypes.c_void_p).value or 0
        )
    raise BackendMissing(
        f"This llama-cpp-python has no {name}; install the version that minireason asks for."
    )


@functools.cache
def _ggml_libraries() -> list[ctypes.CDLL]:
    files = Path(C.__file__).with_name("lib").glob("ggml*.dll")
    return [ctypes.CDLL(str(file)) for file in sorted(files)]
