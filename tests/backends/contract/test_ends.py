"""A reply that is ended in the middle keeps what came, and its place is free again."""

from __future__ import annotations

import pytest

from minireason import Done, EngineError, Reply, UsageError
from minireason.backends.base import ReplyStream
from tests.backends.contract.conftest import QUESTION
from tests.backends.contract.places import Model
from tests.server.serving import until


def free(model: Model) -> None:
    """Wait until nothing runs there, and see that the next one is answered."""
    if model.busy:
        until(lambda: model.busy and model.busy() == 0, "its place is free")
    assert model.reasoner.ask("What is 3 + 4?", temperature=0).boxed == "7"


def begun(model: Model) -> ReplyStream:
    """A reply of which something came."""
    stream = model.reasoner.stream(QUESTION, temperature=0)
    next(iter(stream))
    return stream


def kept(reply: Reply, own: Reply) -> None:
    """It is a beginning of the whole reply."""
    assert reply.finish_reason == "cancelled"
    assert reply.thinking
    assert own.thinking.startswith(reply.thinking)
    assert own.answer.startswith(reply.answer)


def test_cancelling_keeps_the_reply(model: Model, own: Reply) -> None:
    stream = begun(model)
    stream.cancel()
    events = list(iter(lambda: next(stream, None), None))
    assert isinstance(events[-1], Done)
    assert events[-1].reply is stream.reply
    kept(stream.reply, own)
    free(model)


def test_closing_keeps_the_reply(model: Model, own: Reply) -> None:
    stream = begun(model)
    with pytest.raises(UsageError, match="has not ended"):
        _ = stream.reply
    stream.close()
    kept(stream.reply, own)
    free(model)


def test_dropping_frees_its_place(model: Model) -> None:
    stream = begun(model)
    del stream
    free(model)


def test_a_stream_is_iterated_once(model: Model) -> None:
    with model.reasoner.stream(QUESTION, max_tokens=3) as stream:
        list(stream)
        with pytest.raises(UsageError, match="iterated already"):
            iter(stream)
        assert stream.poll() == []
        assert stream.ended


def test_closing_before_the_beginning(model: Model) -> None:
    stream = model.reasoner.stream(QUESTION)
    stream.close()
    reply = stream.reply
    assert (reply.finish_reason, reply.thinking, reply.answer) == ("cancelled", "", "")
    free(model)


@pytest.mark.slow
def test_a_long_reply_ends_at_once(plain: Model) -> None:
    """Its whole would take longer than is waited here for its place."""
    question = "Count from 1 to 2000, one number on each line, and leave none out."
    stream = plain.reasoner.stream(question, temperature=0, max_tokens=3500)
    next(iter(stream))
    stream.close()
    assert 0 < stream.tokens < 500
    if plain.busy:
        until(lambda: plain.busy and plain.busy() == 0, "its place is free")
    assert plain.reasoner.ask("Hello!", temperature=0, max_tokens=3).answer


def test_a_closed_backend_says_so(model: Model) -> None:
    if model.url is None:
        pytest.skip("it is wanted by other tests")
    import minireason

    reasoner = minireason.connect(model.url)
    stream = reasoner.stream(QUESTION)
    next(iter(stream))
    reasoner.close()
    assert stream.reply.finish_reason == "cancelled"
    with pytest.raises(EngineError, match="closed"):
        reasoner.ask(QUESTION)
    free(model)
