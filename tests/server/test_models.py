from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from minireason import Reasoner
from minireason.errors import DoesNotFit, ModelFileError, NotInstalled, UnknownModel, UsageError
from minireason.host.paths import models_dir
from minireason.models.manifests import Manifest, StoredFile, note
from minireason.server.models import ModelPool
from minireason.server.settings import ServerSettings
from minireason.testing import ScriptedBackend
from minireason.wire.errors import ApiError, api_error
from tests.server.plain import PATH, body
from tests.server.serving import Served, until

GIB = 2**30


class Memory:
    """Opens scripted models of one GiB each, where there is room for `most` of them."""

    def __init__(self, most: int = 10) -> None:
        self.most = most
        self.opened: list[str] = []
        self.open: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    def load(self, target: str) -> Reasoner:
        assert self.gate.wait(60)
        if len(self.open) >= self.most:
            raise DoesNotFit(target, GIB, 0, "use a smaller one.")
        self.opened.append(target)
        self.open.append(target)
        backend = ScriptedBackend(f"I am {target}.", name=target)
        close = backend.close

        def closed() -> None:
            if target in self.open:
                self.open.remove(target)
            close()

        backend.close = closed
        return Reasoner(backend)


def install(tiny_path: Path, *names: str) -> None:
    """Models of these names beside the catalogue, as import leaves them."""
    models_dir().mkdir(parents=True, exist_ok=True)
    for name in names:
        path = models_dir() / f"{name}.gguf"
        shutil.copy(tiny_path, path)
        size = path.stat().st_size
        note(Manifest(name, "", (StoredFile(str(path), size, "0" * 64),), "a test"))


def pool(memory: Memory, first: str = "one", **settings: Any) -> ModelPool:
    return ModelPool(ServerSettings(**settings), [memory.load(first)], memory.load)


def used(models: ModelPool, name: str | None) -> str:
    """The name of the model that a name leads to."""

    async def use() -> str:
        async with models.use(name) as reasoner:
            return reasoner.name

    return anyio.run(use)


def refused(models: ModelPool, name: str) -> ApiError:
    async def use() -> None:
        async with models.use(name):
            pass

    with pytest.raises(Exception) as raised:  # noqa: PT011
        anyio.run(use)
    return api_error(raised.value)


@pytest.mark.parametrize("name", [None, "", "default", " DEFAULT ", "one", "ONE", "one:latest"])
def test_names_of_the_default(name: str | None) -> None:
    assert used(pool(Memory()), name) == "one"


def test_an_installed_model_is_loaded_by_its_name(tiny_path: Path) -> None:
    install(tiny_path, "two")
    memory = Memory()
    models = pool(memory)
    for name in ("two", "TWO", "two:latest"):
        assert used(models, name) == "two"
    assert memory.opened == ["one", "two"], "once"


def test_a_model_that_is_not_installed_comes_with_the_command(tiny_path: Path) -> None:
    error = refused(pool(Memory()), "r1-7b")
    assert (error.status, error.code, error.param) == (404, "model_not_found", "model")
    assert "minireason pull r1-7b" in error.message
    assert str(models_dir()) not in error.message, "where files are is nobody's affair"
    unknown = refused(pool(Memory()), "gpt-9")
    assert unknown.status == 404
    assert "gpt-9" in unknown.message
    assert "GET /v1/models" in unknown.message
    for message in (error.message, unknown.message):
        assert ".gguf" not in message, "a path would not do, and is nobody's business"


def test_a_name_is_never_a_path(tiny_path: Path, tmp_path: Path) -> None:
    memory = Memory()
    models = pool(memory)
    copy = tmp_path / "here.gguf"
    shutil.copy(tiny_path, copy)
    for name in (str(copy), "../here.gguf", "/etc/passwd", "a/b", "x" * 5000, "a\0b"):
        assert refused(models, name).status == 404
    assert memory.opened == ["one"]


def test_a_path_of_the_command_line_is_served_by_its_label(tiny_path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "here.gguf"
    shutil.copy(tiny_path, copy)
    memory = Memory()
    models = ModelPool(ServerSettings(models=("tiny", str(copy))), [], memory.load)
    assert used(models, None) == "tiny"
    assert refused(models, str(copy)).status == 404
    assert [entry.name for entry in models.entries()][:2] == ["tiny", "here.gguf"]
    assert used(models, "here.gguf") == str(copy)


def test_two_files_of_one_name(tiny_path: Path, tmp_path: Path) -> None:
    paths = [tmp_path / folder / "same.gguf" for folder in "ab"]
    for path in paths:
        path.parent.mkdir()
        shutil.copy(tiny_path, path)
    with pytest.raises(UsageError, match="one name"):
        ModelPool(ServerSettings(models=tuple(map(str, paths))))


def test_what_is_asked_for_at_the_start_has_to_be_there() -> None:
    with pytest.raises(NotInstalled):
        ModelPool(ServerSettings(models=("r1-7b",)))
    with pytest.raises(UnknownModel):
        ModelPool(ServerSettings(models=("gpt-9",)))


def test_the_least_recently_used_one_makes_room(tiny_path: Path) -> None:
    install(tiny_path, "two", "three")
    memory = Memory(most=2)
    models = pool(memory)
    for name in ("two", "one", "three"):
        assert used(models, name) == name
    assert sorted(memory.open) == ["one", "three"]


def test_what_is_in_use_stays(tiny_path: Path) -> None:
    install(tiny_path, "two")
    memory = Memory(most=1)
    models = pool(memory)

    async def main() -> ApiError:
        async with models.use("one"):
            with pytest.raises(ApiError) as raised:
                async with models.use("two"):
                    pass
            return raised.value

    error = anyio.run(main)
    assert (error.status, error.code) == (503, "model_does_not_fit")
    assert error.retry_after_s
    assert memory.open == ["one"]
    assert used(models, "two") == "two", "once it is idle"


def test_a_model_too_large_for_the_machine(tiny_path: Path) -> None:
    install(tiny_path, "two")
    memory = Memory(most=1)
    models = pool(memory)
    memory.most = 0
    assert refused(models, "two").status == 503


def test_requests_wait_for_one_load_while_other_models_go_on(tiny_path: Path) -> None:
    install(tiny_path, "two")
    memory = Memory()
    models = pool(memory)

    async def main() -> None:
        memory.gate.clear()
        names: list[str] = []

        async def use(name: str) -> None:
            async with models.use(name) as reasoner:
                names.append(reasoner.name)

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(use, "two")
            await anyio.wait_all_tasks_blocked()
            await use("one")
            assert names == ["one"]
            memory.gate.set()
        assert names == ["one", "two", "two", "two"]

    anyio.run(main)
    assert memory.opened == ["one", "two"]


def test_a_load_that_nobody_waits_for_any_more_is_not_lost(tiny_path: Path) -> None:
    install(tiny_path, "two")
    memory = Memory()
    models = pool(memory)

    async def main() -> None:
        memory.gate.clear()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: _use(models, "two"))
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
            memory.gate.set()
        assert models.loaded() == ["one", "two"]
        await models.aclose()

    anyio.run(main)
    assert memory.open == []


async def _use(models: ModelPool, name: str) -> None:
    async with models.use(name):
        pass


def test_a_file_that_is_no_model(tiny_path: Path) -> None:
    install(tiny_path, "two")
    (models_dir() / "two.gguf").write_bytes(b"GGUF no more")

    def broken(target: str) -> Reasoner:
        raise ModelFileError(Path(target), "is damaged.")

    models = ModelPool(ServerSettings(), [Memory().load("one")], broken)
    error = refused(models, "two")
    assert error.status == 500
    assert "damaged" in error.message
    assert [entry.name for entry in models.entries() if entry.name == "two"]


def test_idle_models_are_unloaded_and_come_back(
    served: Callable[..., Served], tiny_path: Path
) -> None:
    memory = Memory()
    one = served(memory.load("one"), open_model=memory.load, keep_alive_s=0.05)
    until(lambda: one.pool.loaded() == [], "nobody has used it")
    with one.client() as client:
        assert client.post(PATH, json=body()).json()["answers"] == ["I am one."]
    until(lambda: memory.open == [])


def test_a_request_may_say_how_long_its_model_is_kept(served: Callable[..., Served]) -> None:
    memory = Memory()
    one = served(memory.load("one"), open_model=memory.load, keep_alive_s=0.2)
    one.pool.keep("one", None)
    time.sleep(0.5)
    assert one.pool.loaded() == ["one"]
    one.pool.keep("one:latest", 0)
    until(lambda: memory.open == [])


def test_unload_waits_until_nobody_uses_it(served: Callable[..., Served]) -> None:
    memory = Memory()
    one = served(memory.load("one"), open_model=memory.load)
    anyio.run(one.pool.unload, "one")
    until(lambda: memory.open == [])


def test_what_is_told_of_models(tiny_path: Path) -> None:
    install(tiny_path, "two")
    models = pool(Memory())
    entries = {entry.name: entry for entry in models.entries()}
    assert next(iter(entries)) == "one", "the default comes first"
    assert entries["one"].loaded
    assert not entries["two"].loaded
    size = tiny_path.stat().st_size
    assert (entries["two"].size_bytes, entries["two"].thinks) == (size, True)
    assert entries["two"].n_ctx == entries["tiny"].n_ctx > 0
    assert entries["two"].created > 1_700_000_000


def test_a_model_that_was_pulled_meanwhile_is_there(tiny_path: Path) -> None:
    models = pool(Memory())
    assert "two" not in [entry.name for entry in models.entries()]
    install(tiny_path, "two")
    assert "two" in [entry.name for entry in models.entries()]
