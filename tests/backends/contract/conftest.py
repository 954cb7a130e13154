"""The same model at every place: `at` says where, `model` is tiny there, `plain` is SmolLM2."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import pytest

import minireason
from minireason import Reasoner, Reply
from minireason.messages import Message
from minireason.testing import ScriptedBackend, ScriptedReply
from tests.backends.contract import places
from tests.backends.contract.places import PLACES, Model, Place
from tests.local import local
from tests.server.serving import Served

QUESTION = "What is 12 + 5?"
FORMS = {"schema": '{"n": 7}', "choices": "7", "regex": "7"}
"""What the scripted backend answers where the answer has a form."""

Open = Callable[[str], Model]


@pytest.fixture(scope="session", params=list(PLACES))
def at(request: pytest.FixtureRequest) -> Place:
    """Each place in turn; those that this machine lacks are skipped."""
    place = PLACES[request.param]
    if place.missing:
        pytest.skip(f"there is no {place.needs}; CONTRIBUTING.md says how to get it")
    return place


@pytest.fixture(scope="session")
def model(at: Place, tiny_at: Open) -> Model:
    """The built-in model, which thinks, at one place."""
    return tiny_at(at.name)


@pytest.fixture(scope="session")
def plain(at: Place, smollm2_at: Open) -> Model:
    """SmolLM2, which only answers, and slowly, at one place."""
    if at.name == "scripted":
        pytest.skip("a script is never slow")
    return smollm2_at(at.name)


@pytest.fixture(scope="session")
def own(tiny_at: Open) -> Reply:
    """The greedy reply of the built-in model in this process."""
    return tiny_at("local").reasoner.ask(QUESTION, temperature=0)


@pytest.fixture(scope="session")
def tiny_at(lived_in: Path, tiny_path: Path) -> Iterator[Open]:
    """Opens the built-in model at a place, once for the whole run."""
    with ExitStack() as stack:
        yield _opener(stack, tiny_path, "tiny")


@pytest.fixture(scope="session")
def smollm2_at(lived_in: Path, smollm2_path: Path) -> Iterator[Open]:
    """Opens SmolLM2 at a place, once for the whole run."""
    with ExitStack() as stack:
        yield _opener(stack, smollm2_path, "smollm2")


def _opener(stack: ExitStack, path: Path, name: str) -> Open:
    opened: dict[str, Model] = {}

    def open_at(place: str) -> Model:
        if place not in opened:
            opened[place] = stack.enter_context(_opened(PLACES[place], path, name, open_at))
        return opened[place]

    return open_at


@contextmanager
def _opened(place: Place, path: Path, name: str, open_at: Open) -> Iterator[Model]:
    match place.name:
        case "local":
            with minireason.load(path, n_threads=1) as reasoner:
                yield Model(place, reasoner, busy=lambda: len(local(reasoner).scheduler.sequences))
        case "scripted":
            backend = _scripted(open_at("local").reasoner)
            yield Model(place, Reasoner(backend), busy=lambda: backend.running)
        case "ours":
            with _ours(place, path, name) as model:
                yield model
        case _:
            command = getattr(places, place.name)(path, name)
            with places.running(command) as url, minireason.connect(url) as reasoner:
                yield Model(place, reasoner, url, _slots(url, place))


def _scripted(real: Reasoner) -> ScriptedBackend:
    """Says what the model says in as many tokens, or a text of the form that is asked for."""
    heard: dict[str, Reply] = {}

    def reply(messages: Sequence[Message]) -> ScriptedReply:
        settings, question = backend.requests[-1].settings, repr(messages)
        if question not in heard:
            heard[question] = real.ask([*messages], temperature=0)
        said = heard[question]
        form = next((form for form in FORMS if getattr(settings, form)), None)
        return ScriptedReply(
            thinking=[*said.thinking], answer=[*(FORMS[form] if form else said.answer)]
        )

    backend = ScriptedBackend(reply, name=real.name, thinks=real.thinks, bare_questions=True)
    return backend


@contextmanager
def _ours(place: Place, path: Path, name: str) -> Iterator[Model]:
    there = minireason.load(path, n_threads=1)
    served = Served([there])
    url = f"{served.url}v1"
    with minireason.connect(url) as reasoner:
        yield Model(place, reasoner, url, lambda: len(local(there).scheduler.sequences))
    served.stop()


def _slots(url: str, place: Place) -> Callable[[], int] | None:
    """How many slots of a llama-server are in use."""
    if place.name != "llama_server":
        return None
    slots = f"{url.removesuffix('/v1')}/slots"
    return lambda: sum(slot["is_processing"] for slot in httpx2.get(slots).json())
