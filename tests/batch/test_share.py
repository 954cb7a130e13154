"""How the machines of a cluster are divided among workers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minireason.batch.share import Bounds, Node, Share, gpu_part, on_one_gpu, share, spread
from minireason.errors import BadSetting, DoesNotFit, UsageError

GIB = 2**30
NODES = [Node(16, 64 * GIB), Node(8, 8 * GIB), Node(0, 8 * GIB)]


def test_as_many_as_cores_and_memory_hold() -> None:
    assert share(NODES, 4 * GIB, None, None, 4) == Share(6, 4, 4 * GIB)
    assert share(NODES, 6 * GIB, None, None, 4) == Share(5, 4, 8 * GIB), "memory bounds the second"


def test_no_worker_has_more_cores_than_the_largest_machine() -> None:
    assert share(NODES, GIB, None, None, 64).cores == 16


def test_more_workers_than_usual_get_fewer_cores() -> None:
    assert share([Node(16, 64 * GIB)], GIB, None, Bounds(5, 5), 16) == Share(5, 3, 64 * GIB // 5)


def test_fewer_workers_are_as_many_as_were_said() -> None:
    assert share(NODES, GIB, 2, Bounds(3, 3), 16) == Share(3, 2, 2 * GIB)


def test_more_than_there_is_room_for() -> None:
    with pytest.raises(BadSetting, match=r"actors='30': .* for 24 at most") as caught:
        share(NODES, GIB // 4, None, Bounds(30, 30), 4)
    assert caught.value.most == 24


def test_between_bounds_are_as_many_as_have_room_and_the_rest_is_asked_for() -> None:
    assert share(NODES, 4 * GIB, 4, Bounds(2, 9), 4) == Share(6, 4, 4 * GIB, further=3)
    assert share(NODES, 4 * GIB, 4, Bounds(2, 5), 4) == Share(5, 4, 4 * GIB)
    assert share([Node(16, 64 * GIB)], GIB, None, Bounds(5, 50), 16) == Share(
        5, 3, 64 * GIB // 5, further=45
    ), "fewer cores each make room for the least alone"
    with pytest.raises(BadSetting, match=r"actors='7-9': .* for 6 at most"):
        share(NODES, 4 * GIB, 4, Bounds(7, 9), 4)


def test_more_cores_than_a_machine_has() -> None:
    with pytest.raises(BadSetting, match="no machine of the cluster has more than 16 cores"):
        share(NODES, GIB, 17, None, 4)


def test_more_memory_than_a_machine_has() -> None:
    with pytest.raises(DoesNotFit, match=r"needs 65\.0 GiB of memory and 64\.0 GiB are free"):
        share(NODES, 65 * GIB, None, None, 4)


def test_one_worker_a_machine_for_what_only_asks() -> None:
    there = [Node(16, GIB, "a"), Node(0, GIB, "head"), Node(1, GIB, "b")]
    assert spread(there, None) == Share(2, 0, 0, ("a", "b"))
    assert spread(there, Bounds(2, 5)) == Share(5, 0, 0, ("a", "b"))
    with pytest.raises(UsageError, match="has a core; give one"):
        spread(there[1:2], None)


def test_workers_share_gpus_on_fewer_cores() -> None:
    nodes = [Node(8, 64 * GIB, gpus=2), Node(64, 512 * GIB)]
    part = gpu_part(24 * GIB, 7 * GIB)
    assert part == 0.3333
    assert share(nodes, GIB, None, None, 4, part) == Share(6, 1, 64 * GIB // 6, gpus=part)
    assert share(nodes, GIB, None, Bounds(1, 3), 4, part) == Share(3, 2, 16 * GIB, gpus=part)
    assert share(nodes, GIB, 4, None, 4, part).actors == 2, "cores that were asked for stay"


def test_workers_of_several_gpus_each() -> None:
    nodes = [Node(8, 64 * GIB, gpus=5), Node(8, 64 * GIB, gpus=1)]
    assert share(nodes, GIB, None, None, 4, 2.0).actors == 2
    with pytest.raises(BadSetting, match="the cores, the memory and the GPUs for 2 at most"):
        share(nodes, GIB, None, Bounds(3, 3), 4, 2.0)
    with pytest.raises(UsageError, match="has the 6 GPUs that a worker needs; add one"):
        share(nodes, GIB, None, None, 4, 6.0)


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_as_many_as_fit_share_a_gpu_and_no_more(gpu_bytes: int, needed_bytes: int) -> None:
    """As Ray counts, in ten-thousandths: whether one more would find its part too."""
    part = gpu_part(gpu_bytes, needed_bytes)
    units = round(part * 10_000)
    assert units / 10_000 == part, "a number that Ray can count"
    assert 10_000 // units == on_one_gpu(part) == max(1, min(100, gpu_bytes // needed_bytes))


NODE = st.builds(
    Node,
    st.integers(0, 64),
    st.integers(0, 256).map(lambda size: size * GIB),
    gpus=st.integers(0, 8),
)
PARTS = st.integers(1, 100).map(lambda fit: gpu_part(fit, 1)) | st.sampled_from([1.0, 2.0, 4.0])


@given(
    st.lists(NODE, min_size=1, max_size=5),
    st.integers(1, 32).map(lambda size: size * GIB),
    st.none() | st.integers(1, 16),
    st.integers(1, 32),
    PARTS | st.just(0.0),
)
def test_every_worker_has_its_cores_its_memory_and_its_gpus(
    nodes: list[Node], needed_bytes: int, cores: int | None, usual: int, gpus: float
) -> None:
    try:
        each = share(nodes, needed_bytes, cores, None, usual, gpus)
    except (BadSetting, DoesNotFit, UsageError):
        assume(False)
    assert each.gpus == gpus
    assert each.memory_bytes >= needed_bytes
    assert each.actors <= sum(
        room(node, replace(each, memory_bytes=needed_bytes)) for node in nodes
    )
    assert each.actors <= sum(room(node, each) for node in nodes), "all are there at once"


def room(node: Node, each: Share) -> int:
    """How many Ray puts on a machine; the parts on one GPU are never more than the GPU."""
    rooms = [node.cpus // each.cores, node.memory_bytes // each.memory_bytes]
    if each.gpus >= 1:
        rooms.append(int(node.gpus // each.gpus))
    elif each.gpus:
        on_one = 0
        while round((on_one + 1) * each.gpus, 4) <= 1:
            on_one += 1
        rooms.append(node.gpus * on_one)
    return min(rooms)
