"""Commands about the model: which one answers."""

from __future__ import annotations

from minireason.cli import completion
from minireason.cli.chat.acts.thinking import say_idle
from minireason.cli.chat.loop import Chat
from minireason.cli.terminal import notes
from minireason.errors import MinireasonError
from minireason.models import catalog, store


def installed() -> list[str]:
    """The names of the models that can be gone on with."""
    built_in = [spec.name for spec in catalog.load() if spec.built_in]
    return [*built_in, *completion.complete_installed("")]


def model(chat: Chat, name: str) -> None:
    """Say which model answers, or go on with another; if that cannot be loaded, with the same."""
    if not name:
        notes.note(f"{chat.reasoner.name}; installed: {', '.join(installed())}")
        return
    store.find(name)  # a wrong name is told before the model is given up
    chat.reasoner.close()  # two may not fit
    try:
        chat.reasoner, chat.model = chat.open(name), name
    except (MinireasonError, KeyboardInterrupt) as error:
        chat.reasoner = chat.open(chat.model)
        notes.error_line(f"{str(error) or 'Interrupted.'} It goes on with {chat.reasoner.name}.")
    chat.session.use(chat.reasoner)
    notes.note(f"({chat.reasoner.name})")
    say_idle(chat)
