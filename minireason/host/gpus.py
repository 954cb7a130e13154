"""GPUs that are there though the installed llama.cpp cannot use them."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence

from minireason.host import system
from minireason.host.hardware import Gpu

_WHEELS = "https://abetlen.github.io/llama-cpp-python/whl"


def unusable_gpus(usable: Sequence[Gpu]) -> tuple[tuple[str, str], ...]:
    """(name, command) of each GPU that is there but not among `usable`.

    The command installs a build of llama.cpp for it. Starts nvidia-smi and vulkaninfo where they
    are, so it may take a second.
    """
    commands: dict[str, str] = {}
    if sys.platform == "darwin":
        if platform.machine() == "arm64" and not usable:
            commands["Apple GPU"] = _install("metal")
    else:
        nvidia = system.output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
        commands |= {
            name.strip(): _install("cu124") for name in nvidia.splitlines() if name.strip()
        }
        for name in _vulkan_gpus(system.output("vulkaninfo", "--summary")):
            commands.setdefault(name, _install("vulkan"))
    described = [gpu.description for gpu in usable]
    return tuple(
        (name, command)
        for name, command in commands.items()
        if not any(name in description for description in described)
    )


def _vulkan_gpus(summary: str) -> list[str]:
    """Names of the devices in `vulkaninfo --summary` that are GPUs, and not emulated by a CPU."""
    kind, names = "", []
    for line in summary.splitlines():
        key, _, value = (part.strip() for part in line.partition("="))
        if key == "deviceType":
            kind = value
        elif key == "deviceName" and kind.endswith("_GPU"):
            names.append(value)
    return names


def _install(backend: str) -> str:
    """llama-cpp-python's own command for a prebuilt wheel, within the versions we ask for."""
    from importlib import metadata  # late: it imports email

    try:
        requirements = metadata.requires("minireason") or []
    except metadata.PackageNotFoundError:
        requirements = []
    own = (line for line in requirements if line.startswith("llama-cpp-python"))
    requirement = next(own, "llama-cpp-python")
    return (
        "pip install --force-reinstall --only-binary llama-cpp-python "
        f"--extra-index-url {_WHEELS}/{backend} '{requirement}'"
    )
