"""The slash commands: one small function each, in one table."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from minireason.cli import idle, options
from minireason.cli.chat import clipboard, export, files, replay
from minireason.cli.chat.loop import SET_BY, Chat
from minireason.cli.commands import sessions
from minireason.cli.terminal import facts, notes, output
from minireason.conversation import transcript
from minireason.errors import MinireasonError, SessionError, UsageError
from minireason.models import catalog, store
from minireason.settings import Effort, Settings

MOST = "max"
"""Said to /effort and /budget: as much as there is room for."""

_COMMAND = re.compile(r"/([a-zA-Z]+)(?:\s+(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Command:
    """What a command takes and does; `act` returns True to leave the chat."""

    takes: str
    about: str
    act: Callable[[Chat, str], bool | None]


def handle(chat: Chat, line: str) -> bool:
    """A question goes to the model, a command is done; True to leave."""
    found = _COMMAND.fullmatch(line)
    if not found:
        chat.ask(line)
        return False
    name = {"quit": "exit", "bye": "exit"}.get(found[1].lower(), found[1].lower())
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        notes.error_line(
            f"There is no command /{name}; {f'did you mean /{near[0]}?' if near else '/help lists them.'}"
        )
        return False
    try:
        return bool(COMMANDS[name].act(chat, (found[2] or "").strip()))
    except (
        MinireasonError,
        OSError,
        ValueError,
    ) as error:  # ValueError: a zero byte in a path, a number of 5,000 digits
        notes.error_line(chat.in_words(error))
        return False


def helps() -> dict[str, str]:
    """Name -> help of every command."""
    return {name: command.about for name, command in COMMANDS.items()}


def names(command: str) -> Iterable[str]:
    """What may follow a command."""
    match command:
        case "/model":
            return _installed()
        case "/effort":
            return (*get_args(Effort), MOST)
        case "/thinking":
            return ("fold", "show", "hide")
        case "/load":
            return [path.stem for path in transcript.listed()]
        case _:
            return ()


def load_session(chat: Chat, path: Path) -> None:
    """Go on with a session, say what was found, and on a terminal show it as it was shown live."""
    problems = chat.session.load(path)
    chat.told_left_out = 0
    for problem in problems:
        notes.note(f"({path.stem}: {problem})")
    turns = chat.session.turns
    chat.thought = _last_thought(chat)
    notes.note(f"({path.stem}: {_turns(len(turns))})")
    if output.console().is_terminal:
        if earlier := len(turns[: -replay.SHOWN_TURNS]):
            notes.note(f"({_turns(earlier)} before these; minireason sessions show prints all)")
        replay.show(turns[-replay.SHOWN_TURNS :], chat.thinking)
    if chat.session.unanswered:
        notes.note(f"(not answered yet, /retry asks it again: {_short(chat.session.unanswered)})")


def show_thinking(chat: Chat) -> None:
    """The last thought, unfolded, also of a reply that was stopped."""
    notes.faint(chat.thought or "(there is no thought to show)")


def _last_thought(chat: Chat) -> str:
    turns = chat.session.turns
    return turns[-1].thinking if turns else ""


def _installed() -> list[str]:
    return [
        *(spec.name for spec in catalog.load() if spec.built_in),
        *options.complete_installed(""),
    ]


def _turns(count: int) -> str:
    return f"{count} turn{'' if count == 1 else 's'}"


def _short(text: str, most: int = 100) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _help(_chat: Chat, _rest: str) -> None:
    notes.definitions(
        [
            *(
                (f"/{name} {command.takes}".rstrip(), command.about)
                for name, command in COMMANDS.items()
            ),
            *KEYS,
        ]
    )


def _model(chat: Chat, name: str) -> None:
    if not name:
        notes.note(f"{chat.reasoner.name}; installed: {', '.join(_installed())}")
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
    _say_idle(chat)


def _effort(chat: Chat, rest: str) -> None:
    if rest:
        _set_thinking(chat, effort=None if rest == MOST else rest)
    _say_thinking(chat)


def _budget(chat: Chat, rest: str) -> None:
    if rest and rest != MOST and not (rest.isascii() and rest.isdecimal()):
        raise UsageError(
            f"/budget takes a number of tokens, or {MOST} for as many as there is room for."
        )
    if rest:
        _set_thinking(chat, thinking_budget=None if rest == MOST else int(rest))
    _say_thinking(chat)


def _set_thinking(chat: Chat, **changed: object) -> None:
    """Set effort or budget, which take each other's place; raises BadSetting."""
    kept = {key: value for key, value in chat.settings.items() if key not in SET_BY}
    wanted = kept | {key: value for key, value in changed.items() if value is not None}
    Settings(**wanted)
    chat.settings = wanted


def _say_thinking(chat: Chat) -> None:
    said = [
        f"{name[1:]} {chat.settings[key]}" for key, name in SET_BY.items() if key in chat.settings
    ]
    notes.note(f"(thinking: {', '.join(said) or 'as much as there is room for'})")
    _say_idle(chat)


def _say_idle(chat: Chat) -> None:
    for line in idle.of_thinking(chat.settings, chat.reasoner, chat.names):
        notes.note(f"({line})")


def _thinking(chat: Chat, rest: str) -> None:
    if not rest:
        show_thinking(chat)
    elif rest in ("fold", "show", "hide"):
        chat.show_thinking_as(rest)
    else:
        raise UsageError(
            "/thinking shows the last thought; /thinking fold, show or hide says how the next ones come."
        )


def _system(chat: Chat, rest: str) -> None:
    if rest:
        chat.session.system = None if rest == "none" else rest
    notes.note(f"(system prompt: {chat.session.system or 'none'})")


def _file(chat: Chat, rest: str) -> None:
    name, text = files.read(rest)
    tokens, free = files.count(chat.reasoner, text), chat.reasoner.n_ctx // 2
    if tokens > free:
        raise UsageError(
            f"{name} has about {tokens:,} tokens and does not fit: a question may have {free:,}."
        )
    chat.files.append((name, text))
    notes.note(f"({name}, {tokens:,} tokens, goes with your next question)")


def _undo(chat: Chat, _rest: str) -> None:
    chat.draft = chat.session.undo()
    chat.thought = _last_thought(chat)
    notes.note("(taken back)")


def _retry(chat: Chat, _rest: str) -> None:
    settings = chat.settings
    chat.settings = {name: value for name, value in settings.items() if name != "seed"}
    try:
        chat.ask(chat.session.last_question(), again=True, alone=True)
    finally:
        chat.settings = settings


def _edit(chat: Chat, rest: str) -> None:
    last = chat.session.last_question()
    if rest:
        chat.ask(rest, again=True)
    else:
        chat.draft = f"/edit {last}"


def _copy(chat: Chat, rest: str) -> None:
    if not chat.session.turns:
        raise SessionError("There is no answer to copy yet.")
    text = clipboard.part(chat.session.turns[-1].answer, rest)
    notes.note(f"(copied {len(text):,} characters to {clipboard.copy(text)})")


def _save(chat: Chat, rest: str) -> None:
    if not rest:
        saved = "every turn is saved anyway" if chat.session.path else "nothing is saved until then"
        raise UsageError(f"/save takes a name for this session; {saved}.")
    path = transcript.path_of(rest)
    if path.exists() and path != chat.session.path:
        raise SessionError(f"There is a session {path.stem} already; take another name.")
    chat.session.save(path)
    notes.note(f"(saved as {path})")


def _load(chat: Chat, rest: str) -> None:
    if not rest:
        raise UsageError(
            "/load takes the name of a session, or the path of its file; /sessions lists them."
        )
    load_session(chat, transcript.path_of(rest))


def _export(chat: Chat, rest: str) -> None:
    path = export.write(chat.session, rest)
    notes.note(f"(written to {path})")


def _sessions(_chat: Chat, _rest: str) -> None:
    sessions.print_list(errors=True)


def _context(chat: Chat, _rest: str) -> None:
    session, n_ctx = chat.session, chat.reasoner.n_ctx
    used = chat.reasoner.count_tokens([*session.prompt, {"role": "user", "content": "?"}])
    answers = sum(turn.answer_tokens for turn in session.turns[session.left_out :])
    dropped = sum(turn.thinking_tokens for turn in session.turns)
    facts.shares(
        [
            ("questions", max(0, used - answers)),
            ("answers", min(used, answers)),
            ("free", max(0, n_ctx - used)),
        ],
        n_ctx,
    )
    notes.note(
        f"thinking dropped: {dropped:,} tokens · turns left out: {session.left_out} of {len(session.turns)}"
    )


def _stats(chat: Chat, _rest: str) -> None:
    turns = chat.session.turns
    made, seconds = (
        sum(turn.thinking_tokens + turn.answer_tokens for turn in turns),
        sum(turn.total_s for turn in turns),
    )
    read, cached = (
        sum(turn.prompt_tokens for turn in turns),
        sum(turn.cached_tokens for turn in turns),
    )
    speed = f", {made / seconds:.1f} tokens/s with the reading" if made and seconds else ""
    notes.note(f"{_turns(len(turns))}, {made:,} tokens generated in {seconds:.1f} s{speed}")
    notes.note(
        f"{read:,} tokens of prompts, {cached:,} of them from the cache"
        + (f" ({cached / read:.0%})" if read else "")
    )


def _clear(chat: Chat, _rest: str) -> None:
    chat.session.clear()
    chat.thought = ""
    chat.files.clear()
    kept = "; it stays in the session's file" if chat.session.path else ""
    notes.note(f"(forgotten{kept})")


KEYS = (
    (
        "Alt-Enter, or \\ then Enter",
        "a new line; Tab completes, the arrows bring back what was typed",
    ),
    ("Ctrl-T", "unfold the last thought"),
    ("Ctrl-C", "while it thinks: answer now; in the answer: stop; twice on an empty line: leave"),
)

COMMANDS: dict[str, Command] = {
    "help": Command("", "this list", _help),
    "model": Command("[NAME]", "which model; go on with another", _model),
    "effort": Command(
        "[LEVEL]",
        "how much it may think: none, low, medium, high; max: all there is room for",
        _effort,
    ),
    "budget": Command("[TOKENS|max]", "how many tokens it may think", _budget),
    "thinking": Command(
        "[fold|show|hide]", "the last thought; or how thoughts are shown", _thinking
    ),
    "system": Command("[TEXT|none]", "the system prompt", _system),
    "file": Command("PATH", "put a text file into the next question", _file),
    "undo": Command("", "take the last turn back", _undo),
    "retry": Command("", "ask the last question again, with a new seed", _retry),
    "edit": Command("[QUESTION]", "change the last question and ask it again", _edit),
    "copy": Command("[N]", "copy the answer, or its Nth block of code", _copy),
    "save": Command("NAME|FILE.jsonl", "give this session a name, or a file", _save),
    "load": Command("NAME|FILE.jsonl", "go on with another session", _load),
    "export": Command("[FILE.md|FILE.json]", "write the conversation to a file", _export),
    "sessions": Command("", "the sessions there are", _sessions),
    "context": Command("", "what takes up the context", _context),
    "stats": Command("", "tokens and seconds of this session", _stats),
    "clear": Command("", "forget the conversation", _clear),
    "exit": Command("", "leave", lambda _chat, _rest: True),
}
