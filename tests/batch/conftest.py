"""A Ray cluster of this machine, for the whole run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minireason.batch import cluster
from minireason.batch.share import Node


@pytest.fixture(scope="session")
def machines(lived_in: Path) -> Iterator[Any]:
    """One machine of two cores, and two GPUs that are counted and not there; it can be given more.

    What Ray starts for a machine is there for each of them, all on this one.
    """
    cluster_utils = pytest.importorskip("ray.cluster_utils", reason="Ray comes with the extra ray")
    head = {"num_cpus": 2, "num_gpus": 2, "include_dashboard": False}
    made = cluster_utils.Cluster(initialize_head=True, head_node_args=head)
    yield made
    made.shutdown()


@pytest.fixture(scope="session")
def nodes(machines: Any) -> Iterator[list[Node]]:
    """Join it; the machine that it begins with."""
    with cluster.joined(machines.address) as there:
        yield there
