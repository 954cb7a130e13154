"""Pure arithmetic: the machines of a cluster and a model -> how many workers of what size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from minireason.errors import BadSetting, DoesNotFit, UsageError

ASKING_CORES = 0.01
"""What a worker takes that computes nothing: on no core at all, Ray would put it anywhere."""

MOST_ON_A_GPU = 100
"""So many workers share a GPU at most: of still smaller parts Ray would let in more than fit."""

_GPU_UNITS = 10_000
"""Ray counts a GPU in so many parts."""


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of a cluster, as its scheduler counts it."""

    cpus: int
    memory_bytes: int
    id: str = ""
    gpus: int = 0


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

    gpus: float = 0.0
    """The part of a GPU, or a whole number of them; 0 where it computes on the CPU."""


def gpu_part(gpu_bytes: int, needed_bytes: int) -> float:
    """The part of a GPU for a worker that needs so much of its memory: 1/k where k fit.

    Rounded down to what Ray counts in, so that the kth finds its part. At most 1.
    """
    fit = max(1, min(MOST_ON_A_GPU, gpu_bytes // max(1, needed_bytes)))
    return (_GPU_UNITS // fit) / _GPU_UNITS


def on_one_gpu(gpus: float) -> int:
    """How many workers with such a part Ray lets in on one GPU, which are those that fit."""
    return max(1, _GPU_UNITS // round(gpus * _GPU_UNITS))


def share(
    nodes: Sequence[Node],
    needed_bytes: int,
    cores: int | None,
    actors: Bounds | None,
    usual: int,
    gpus: float = 0.0,
) -> Share:
    """How the machines are divided, where each worker needs `needed_bytes`.

    `cores` each and so many `actors` where that was said; else `usual` cores each, and as many
    workers as there is room for. With `gpus`, a part of one or a whole number, workers are on
    machines with so many alone, on fewer cores where the GPUs hold more of them. Raises BadSetting
    if there is no room for the least, DoesNotFit if there is none for one, UsageError if no machine
    has the GPUs.
    """
    if gpus:
        nodes = [node for node in nodes if _gpu_slots(node, gpus)]
        if not nodes:
            raise UsageError(
                f"No machine of the cluster has the {gpus:g} GPUs that a worker needs; add one, or "
                "use a smaller model or context."
            )
    largest = max((node.cpus for node in nodes), default=0)
    if cores is None:
        cores = _most_cores(nodes, needed_bytes, actors, min(usual, largest), gpus)
    room = _room(nodes, cores, needed_bytes, gpus)
    if not room:
        _refuse(nodes, needed_bytes, cores, largest)
    if actors and actors.least > room:
        what = "the cores, the memory and the GPUs" if gpus else "the cores and the memory"
        problem = f"the cluster has {what} for {room} at most"
        raise BadSetting("actors", str(actors), problem, most=room)
    now = min(room, actors.most) if actors else room
    slots = {node: _slots(node, cores, needed_bytes, gpus) for node in nodes}
    fair = min(node.memory_bytes // count for node, count in slots.items() if count)
    return Share(now, cores, fair, further=actors.most - now if actors else 0, gpus=gpus)


def _most_cores(
    nodes: Sequence[Node], needed_bytes: int, actors: Bounds | None, usual: int, gpus: float
) -> int:
    """The most cores for each worker, up to `usual`, that leave room for as many as there may be.

    Those are the least of `actors`, or with `gpus` all that these hold.
    """
    target = actors.least if actors else 0
    if gpus:
        most = _room(nodes, 1, needed_bytes, gpus)
        target = min(most, actors.most) if actors else most
    fewer = range(usual, 1, -1)
    enough = (count for count in fewer if _room(nodes, count, needed_bytes, gpus) >= target)
    return next(enough, 1)


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


def _room(nodes: Sequence[Node], cores: int, needed_bytes: int, gpus: float) -> int:
    return sum(_slots(node, cores, needed_bytes, gpus) for node in nodes)


def _slots(node: Node, cores: int, needed_bytes: int, gpus: float) -> int:
    """How many workers a machine has room for."""
    slots = min(node.cpus // cores, node.memory_bytes // max(1, needed_bytes))
    return min(slots, _gpu_slots(node, gpus)) if gpus else slots


def _gpu_slots(node: Node, gpus: float) -> int:
    """How many workers its GPUs hold; none has parts of two."""
    if gpus >= 1:
        return node.gpus // int(gpus)
    return node.gpus * on_one_gpu(gpus)
