"""How the machines of a cluster are divided among workers."""

from __future__ import annotations

import pytest

from minireason.batch.share import Bounds, Node, Share, share, spread
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
