"""The devices that the installed llama.cpp can compute on, and what it was built for."""

from __future__ import annotations

import ctypes
from typing import NamedTuple

from minireason.engine.library import C, commit, ggml, init

_KINDS = {0: "cpu", 1: "gpu", 2: "igpu", 3: "accel"}  # enum ggml_backend_dev_type


class Device(NamedTuple):
    """A device that the installed llama.cpp can compute on.

    `kind` is "cpu", "gpu", "igpu" (shares the machine's memory) or "accel".
    """

    handle: int
    name: str
    description: str
    kind: str
    free_bytes: int
    total_bytes: int


def devices() -> list[Device]:
    """Every device of this build, in llama.cpp's order."""
    init()
    count, get = (
        ggml("dev_count", ctypes.c_size_t),
        ggml("dev_get", ctypes.c_void_p, ctypes.c_size_t),
    )
    return [_device(get(index)) for index in range(count())]


def _device(handle: int) -> Device:
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    sizes = ctypes.POINTER(ctypes.c_size_t)
    ggml("dev_memory", None, ctypes.c_void_p, sizes, sizes)(
        handle, ctypes.byref(free), ctypes.byref(total)
    )
    return Device(
        handle,
        ggml("dev_name", ctypes.c_char_p, ctypes.c_void_p)(handle).decode(),
        ggml("dev_description", ctypes.c_char_p, ctypes.c_void_p)(handle).decode(
            "utf-8", "replace"
        ),
        _KINDS.get(ggml("dev_type", ctypes.c_int, ctypes.c_void_p)(handle), "other"),
        free.value,
        total.value,
    )


def built_for() -> frozenset[str]:
    """The vector instructions that this build of llama.cpp uses: "AVX2", "AVX512", "NEON" ..."""
    entries = [entry.split(" = ") for entry in system_info().replace(":", "|").split("|")]
    return frozenset(
        entry[0].strip() for entry in entries if len(entry) == 2 and entry[1].strip() == "1"
    )


def build() -> str:
    """What tells this build of llama.cpp from others: its commit, and what it was built for."""
    return " ".join([commit(), *sorted(built_for())])


def system_info() -> str:
    """What llama.cpp says of its build and this CPU."""
    init()
    return str(C.llama_print_system_info().decode())


def leave_out_amx() -> list[str]:
    """Have llama.cpp pass over AMX where it repacks weights; the names of the ways that are left.

    What it repacks for AMX crashes in the first decode (llama.cpp #20824). There is no switch, but
    the list that its loader goes through is there to be changed, before a model is loaded:
    ggml_backend_dev_get_extra_bufts in ggml-backend.h.
    """
    names: list[str] = []
    for device in devices():
        if device.kind != "cpu":
            continue
        registry = ggml("dev_backend_reg", ctypes.c_void_p, ctypes.c_void_p)(device.handle)
        address = ggml("reg_get_proc_address", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(
            registry, b"ggml_backend_dev_get_extra_bufts"
        )
        if address:
            get = ctypes.CFUNCTYPE(ctypes.POINTER(ctypes.c_void_p), ctypes.c_void_p)(address)
            names += _without(get(device.handle), "AMX")
    return names


def _without(kinds: ctypes._Pointer[ctypes.c_void_p], name: str) -> list[str]:
    """Leave a name out of a list that ends with NULL; the names that stay."""
    name_of = ggml("buft_name", ctypes.c_char_p, ctypes.c_void_p)
    kept: list[tuple[int, str]] = []
    count = 0
    while kind := kinds[count]:
        count += 1
        if (known := name_of(kind).decode()) != name:
            kept.append((int(kind), known))
    for index in range(count):
        kinds[index] = kept[index][0] if index < len(kept) else None
    return [known for _, known in kept]
