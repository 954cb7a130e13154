"""The workers of a batch on a Ray cluster: each loads the model, or asks the server of --url."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from minireason.cli.commands.batch_options import Batching
from minireason.cli.commands.run_model import RunModel
from minireason.cli.commands.solve import room_for
from minireason.cli.options import Asked
from minireason.cli.remote import Remote
from minireason.cli.terminal.progress import Progress
from minireason.errors import BadSetting
from minireason.models import store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from minireason.batch.gpus import Need
    from minireason.batch.ray import Runner
    from minireason.batch.share import Node, Share
    from minireason.batch.worker import Wanted
    from minireason.settings import LoadSettings, Settings


@dataclass(frozen=True, slots=True)
class Workers:
    """What is asked for of the workers, and the model of the run with its hash."""

    how: Batching
    asked: Asked
    remote: Remote
    model: RunModel
    sha256: str

    def join(self, stack: ExitStack) -> Runner:
        """Join the cluster until `stack` ends, and divide it among workers.

        Raises UsageError, ServerError, ModelFileError or DoesNotFit.
        """
        from minireason.batch import cluster
        from minireason.batch.ray import Runner

        if self.asked.n_gpu_layers and self.asked.draft_model:
            problem = "a worker's part of a GPU has no room for it; leave it or --gpu-layers out"
            raise BadSetting("draft_model", self.asked.draft_model, problem)
        with ExitStack() as meanwhile:
            progress = Progress()
            meanwhile.callback(progress.clear)
            progress.say("joining Ray ...")
            nodes = stack.enter_context(cluster.joined(self.how.ray or cluster.LOCAL))
        divide = self._loading if self.remote.url is None else self._asking
        wanted, share = divide(nodes)
        return Runner(wanted, share, in_order=self.how.in_order)

    @property
    def _settings(self) -> Settings:
        return self.model.defaults.changed(self.asked.settings)

    def _loading(self, nodes: Sequence[Node]) -> tuple[Wanted, Share]:
        """Workers that each load the model."""
        from minireason.backends import loading
        from minireason.batch.share import share
        from minireason.batch.worker import Wanted
        from minireason.settings import LoadSettings

        name, path = self.model.name, store.find(self.model.name).path
        load, parallel = room_for(self.how.batch_size, self.asked.load), self.how.batch_size
        requested, layers = LoadSettings.of(load), self.asked.n_gpu_layers or 0
        need = self._gpu_need(path, requested, nodes) if layers else None
        needed = need.memory_bytes if need else loading.needed_bytes(path, requested)
        threads, usual = self.asked.n_threads, loading.machine().cores
        part = need.gpus if need else 0.0
        each = share(nodes, needed, threads, self.how.workers, usual, part)
        if layers and parallel == "auto":
            parallel = requested.n_seq_max
        wanted = Wanted(
            str(path.absolute()) if store.is_path(name) else name,
            self.sha256,
            {**load, "n_threads": each.cores, "n_gpu_layers": layers},
            self._settings,
            parallel,
            each.memory_bytes,
            gpus=part,
        )
        return wanted, each

    def _gpu_need(self, path: Path, requested: LoadSettings, nodes: Sequence[Node]) -> Need:
        """What a worker on a GPU needs, by what llama.cpp finds on the machines."""
        from minireason.batch import cluster, gpus

        with ExitStack() as meanwhile:
            progress = Progress()
            meanwhile.callback(progress.clear)
            progress.say("looking at the GPUs ...")
            machines = cluster.seen(nodes)
        return gpus.need(path, requested, machines, max(node.gpus for node in nodes))

    def _asking(self, nodes: Sequence[Node]) -> tuple[Wanted, Share]:
        """Workers that each ask the server; the key stays where it is."""
        from minireason.batch import worker
        from minireason.batch.share import spread

        key_file = self.remote.api_key_file
        server = worker.Server(
            self.remote.url or "",
            None if key_file is None else str(Path(key_file).absolute()),
            self.model.label,
        )
        name = self.model.open().name
        wanted = worker.Wanted(
            name, "", {}, self._settings, self.how.batch_size, memory_bytes=0, server=server
        )
        return wanted, spread(nodes, self.how.workers)
