"""Commands about the model: which one answers."""

from __future__ import annotations

from collections.abc import Sequence

from minireason.backends.capabilities import OneOfSeveral
from minireason.cli import completion
from minireason.cli.chat.acts.thinking import say_idle
from minireason.cli.chat.loop import Chat
from minireason.cli.terminal import notes
from minireason.errors import MinireasonError, shortened
from minireason.models import catalog, store

_MAX_LISTED = 2_000
"""A list of more characters is cut: some servers have hundreds of models."""


def names(chat: Chat) -> Sequence[str]:
    """The names of the models that can be gone on with: here, or at the server that is asked."""
    backend = chat.reasoner.backend
    if isinstance(backend, OneOfSeveral):
        return backend.models
    built_in = [spec.name for spec in catalog.load() if spec.built_in]
    return [*built_in, *completion.complete_installed("")]


def model(chat: Chat, name: str) -> None:
    """Say which model answers, or go on with another; if that cannot be loaded, with the same."""
    backend = chat.reasoner.backend
    if isinstance(backend, OneOfSeveral):
        _of_server(chat, backend, name)
    elif name:
        _switch(chat, name)
    else:
        notes.note(f"{chat.reasoner.name}; installed: {', '.join(names(chat))}")


def _of_server(chat: Chat, backend: OneOfSeveral, name: str) -> None:
    """The same where a server has the models; a name that it lacks changes nothing."""
    if not name:
        own = chat.reasoner.name
        others = [other for other in backend.list_models() if other != own]
        listed = shortened(", ".join([f"{own} (in use)", *others]), _MAX_LISTED)
        notes.note(f"The server has: {listed}")
        return
    before = chat.reasoner
    chat.reasoner, chat.model = chat.open(name), name
    _go_on(chat)
    before.close()


def _switch(chat: Chat, name: str) -> None:
    """Go on with another model of this machine."""
    store.find(name)  # a wrong name is told before the model is given up
    chat.reasoner.close()  # two may not fit
    try:
        chat.reasoner, chat.model = chat.open(name), name
    except (MinireasonError, KeyboardInterrupt) as error:
        chat.reasoner = chat.open(chat.model)
        notes.error_line(f"{str(error) or 'Interrupted.'} It goes on with {chat.reasoner.name}.")
    _go_on(chat)


def _go_on(chat: Chat) -> None:
    chat.session.use(chat.reasoner)
    notes.note(f"({chat.reasoner.name})")
    say_idle(chat)
