"""Pure arithmetic: the machines of a cluster and a model -> how many workers of what size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from minireason.errors import BadSetting, DoesNotFit, UsageError

ASKING_CORES = 0.01
"""What a worker takes that computes nothing: on no core at all, Ray would put it anywhere."""


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of a cluster, as its scheduler counts it."""

    cpus: int
    memory_bytes: int
    id: str = ""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many workers there are to be: `least` at once, up to `most` as the cluster grows."""

    least: int
    most: int

    def __str__(self) -> str:
        return str(self.least) if self.least == self.most else f"{self.least}-{self.most}"


@dataclass(frozen=True, slots=True)
class Share:
    """What each of so many workers gets."""

    actors: int
    cores: int
    """0 where it computes nothing."""

    memory_bytes: int
    machines: tuple[str, ...] = ()
    """The ids of those that workers are put on in turn; empty where the scheduler chooses."""

    further: int = 0
    """So many more are asked for, which wait until the cluster has grown."""


def share(
    nodes: Sequence[Node], needed_bytes: int, cores: int | None, actors: Bounds | None, usual: int
) -> Share:
    """How the machines are divided, where each worker needs `needed_bytes`.

    `cores` each and so many `actors` where that was said; else `usual` cores each, and as many
    workers as there is room for. Raises BadSetting if there is no room for the least, DoesNotFit
    if there is none for one.
    """
    largest = max((node.cpus for node in nodes), default=0)
    if cores is None:
        cores = max(1, min(usual, largest))
        while actors and cores > 1 and _room(nodes, cores, needed_bytes) < actors.least:
            cores -= 1
    room = _room(nodes, cores, needed_bytes)
    if not room:
        _refuse(nodes, needed_bytes, cores, largest)
    if actors and actors.least > room:
        problem = f"the cluster has the cores and the memory for {room} at most"
        raise BadSetting("actors", str(actors), problem, most=room)
    now = min(room, actors.most) if actors else room
    fair = min(
        node.memory_bytes // slots for node in nodes if (slots := _slots(node, cores, needed_bytes))
    )
    return Share(now, cores, fair, further=actors.most - now if actors else 0)


def spread(nodes: Sequence[Node], actors: Bounds | None) -> Share:
    """One worker a machine, or so many in turn, where each asks a server and computes nothing.

    So there is room for all, but on machines without cores, as the head of a cluster often is.
    Raises UsageError if there are no others.
    """
    at_work = [node for node in nodes if node.cpus]
    if not at_work:
        raise UsageError("No machine of the cluster has a core; give one by ray start --num-cpus.")
    return Share(actors.most if actors else len(at_work), 0, 0, tuple(node.id for node in at_work))


def _refuse(nodes: Sequence[Node], needed_bytes: int, cores: int, largest: int) -> None:
    if cores > largest:
        problem = f"no machine of the cluster has more than {largest} cores"
        raise BadSetting("n_threads", cores, problem, most=largest)
    most = max(node.memory_bytes for node in nodes)
    advice = "add a larger machine to the cluster, or use a smaller model or context."
    raise DoesNotFit("A worker", needed_bytes, most, advice)


def _room(nodes: Sequence[Node], cores: int, needed_bytes: int) -> int:
    return sum(_slots(node, cores, needed_bytes) for node in nodes)


def _slots(node: Node, cores: int, needed_bytes: int) -> int:
    """How many workers a machine has room for."""
    return min(node.cpus // cores, node.memory_bytes // max(1, needed_bytes))
