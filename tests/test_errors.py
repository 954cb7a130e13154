"""Every error of the tree goes whole through pickle, copies and other processes."""

from __future__ import annotations

import copy
import inspect
import multiprocessing
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from minireason import BadSetting, MinireasonError

SAMPLES: dict[Any, object] = {
    bool: True,
    str: "words",
    int: 7,
    object: {"a": [1, 2]},
    Path: Path("somewhere"),
    int | None: None,
    tuple[str, ...]: ("a", "b"),
}


def tree(kind: type[MinireasonError] = MinireasonError) -> Iterator[type[MinireasonError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from tree(child)


def facts(kind: type[MinireasonError]) -> list[str]:
    """The parameters of a class; none where a message is all."""
    own = inspect.isfunction(kind.__init__)
    return list(inspect.signature(kind.__init__).parameters)[1:] if own else []


def made(kind: type[MinireasonError]) -> MinireasonError:
    """An error with a fact for each parameter of its class."""
    if not facts(kind):
        return kind("something went wrong")
    hints = get_type_hints(kind.__init__)
    return kind(**{name: SAMPLES[hints[name]] for name in facts(kind)})


def pickled(error: MinireasonError) -> Any:
    return pickle.loads(pickle.dumps(error))


def same(one: MinireasonError, other: MinireasonError) -> bool:
    return (type(one), str(one), one.args, vars(one)) == (
        type(other),
        str(other),
        other.args,
        vars(other),
    )


@pytest.mark.parametrize("kind", list(tree()), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("again", [pickled, copy.copy, copy.deepcopy])
def test_an_error_comes_back_whole(
    kind: type[MinireasonError], again: Callable[[MinireasonError], MinireasonError]
) -> None:
    error = made(kind)
    error.add_note("a note")
    assert same(again(error), error)


@pytest.mark.parametrize("kind", list(tree()), ids=lambda kind: kind.__name__)
def test_an_error_keeps_every_fact_that_it_was_given(kind: type[MinireasonError]) -> None:
    """What is in the message only has to be read out of a sentence."""
    assert set(facts(kind)) - {"message"} <= set(vars(made(kind)))


@pytest.mark.parametrize(
    "value",
    [lambda: 0, threading.Lock(), 10**5000, [[[[[[[lambda: 0]]]]]]]],
    ids=["function", "lock", "number", "nested"],
)
def test_an_error_about_what_cannot_be_pickled(value: object) -> None:
    error = BadSetting("schema", value, "makes no sense")
    again = pickled(error)
    assert (str(again), again.name) == (str(error), "schema")
    assert len(str(error)) < 160


def raises(error: MinireasonError) -> None:
    raise error


def test_errors_come_out_of_a_pool_of_processes() -> None:
    errors = [made(kind) for kind in tree()]
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(raises, error) for error in errors]
        raised = [future.exception(60) for future in futures]
    for one, error in zip(raised, errors, strict=True):
        assert isinstance(one, MinireasonError)
        assert same(one, error)
