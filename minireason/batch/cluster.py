"""Join a Ray cluster, and see what machines it has."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from minireason.batch import gpus, head
from minireason.batch.located import located
from minireason.batch.share import Node
from minireason.errors import (
    EngineError,
    MinireasonError,
    ServerError,
    UsageError,
    shortened,
    shown,
)
from minireason.host.hardware import Hardware

LOCAL = "auto"
"""The address that stands for a cluster of this machine alone, which ends with the run."""

_STORE_BYTES = 128 * 2**20
_PART = 0.0001
"""The least of a GPU that Ray gives, and enough to see it."""

SEEN_S = 60.0
"""So long is waited for a GPU that is busy."""


@contextmanager
def joined(address: str) -> Iterator[list[Node]]:
    """Join a cluster, or start one with "auto", until the block ends; its machines.

    Raises UsageError without the extra, ServerError where there is no cluster to join.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it warns of a default
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", "^")  # else it prints of each lost worker
    try:
        import ray
    except ModuleNotFoundError:
        message = "Ray is not installed; install it with: pip install 'minireason[ray]'."
        raise UsageError(message) from None
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        quiet |= {"include_dashboard": False, "object_store_memory": _STORE_BYTES}
    wants_token = address != LOCAL and _wants_token(address)
    try:
        ray.init(address="local" if address == LOCAL else address, **quiet)
    except Exception as error:  # of many kinds
        raise _not_joined(address, error, wants_token=wants_token) from None
    try:
        yield [_node(node) for node in ray.nodes() if node["Alive"]]
    finally:
        ray.shutdown()


def _told() -> Hardware | MinireasonError:
    try:
        return gpus.here()
    except MinireasonError as error:
        return located(error)


def seen(nodes: Sequence[Node], within_s: float = SEEN_S) -> list[Hardware]:
    """The machines that have GPUs, by a look at one of each; left out where all are busy.

    Raises UsageError where there are none or llama.cpp finds none, and EngineError.
    """
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # a process for each, which gives back the memory of the GPU that a look at it takes
    look = ray.remote(max_calls=1, num_cpus=0, num_gpus=_PART)(_told)
    looks = [
        look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False))
        for node in nodes
        if node.gpus
    ]
    if not looks:
        raise UsageError(
            "No machine of the cluster has a GPU that Ray counts; leave --gpu-layers out, or give "
            "one by ray start --num-gpus."
        )
    calls = [each.remote() for each in looks]
    done, waiting = ray.wait(calls, num_returns=len(calls), timeout=within_s)
    for call in waiting:
        ray.cancel(call)
    try:
        told: list[Hardware | MinireasonError] = ray.get(done)
    except RayError as error:
        said = shortened(" ".join(str(error).split()), 200)
        raise EngineError(f"No look at the GPUs was possible ({said}); see Ray's logs.") from None
    for each in told:
        if isinstance(each, MinireasonError):
            raise each
    if not told:
        raise EngineError(f"No GPU of the cluster was free for {within_s:.0f} s; try again later.")
    return [each for each in told if isinstance(each, Hardware)]


def _node(told: dict[str, Any]) -> Node:
    resources = told["Resources"]
    cpus, memory_bytes, gpus = (int(resources.get(key, 0)) for key in ("CPU", "memory", "GPU"))
    return Node(cpus, memory_bytes, told["NodeID"], gpus)


def _wants_token(address: str) -> bool:
    """Whether the head wants a token; raises at once what Ray would try for half a minute."""
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdigit() or int(port) >= 2**16:
        raise UsageError(
            f"--ray {shown(address)} is no address of a cluster; give HOST:PORT of its head, such "
            'as 10.0.0.1:6379, or "auto" for one on this machine.'
        )
    try:
        wants_token = head.wants_token(host.strip("[]"), int(port))
    except OSError as error:
        raise _not_joined(address, error) from None
    if wants_token and os.environ.get("RAY_AUTH_MODE", "").lower() != "token":
        raise _not_joined(address, PermissionError("none was sent"), wants_token=True)
    return wants_token


def _not_joined(address: str, error: Exception, *, wants_token: bool = False) -> ServerError:
    said = " ".join(str(error).split())
    if "Version mismatch" in said:
        return ServerError(
            f"The cluster at {address} has another version of Ray or Python ({said}); run this "
            "with the versions that it has."
        )
    if wants_token:
        return ServerError(
            f"The cluster at {address} lets nobody in without its token ({shortened(said, 200)}); "
            "export RAY_AUTH_MODE=token, and have ~/.ray/auth_token of its head here too."
        )
    if address == LOCAL:
        return ServerError(f"Ray could not be started here ({shortened(said, 200)}); try again.")
    return ServerError(
        f"There is no Ray cluster at {address} ({shortened(said, 200)}); start one with ray start "
        "--head, or check the address."
    )
