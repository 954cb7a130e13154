"""The replies on disk: one a line, only ever appended to, and beside them whose they are.

    OUT.jsonl       {"id": "q1", "source": "mine", "reply": {"answer": "4", ...}}
    OUT.jsonl.run   {"minireason_batch": 1, "created": ..., "run": {"model": "tiny", ...}}

See `host.journal.Appender` for how they are written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from minireason import runs
from minireason.batch import forms, lines
from minireason.batch.base import OWN, Form
from minireason.batch.ids import Ids
from minireason.batch.jobs import key
from minireason.errors import UsageError
from minireason.host import files, journal, state
from minireason.version import __version__

VERSION = 1
_FORM = {"minireason_batch": int, "run": dict}


@dataclass(frozen=True, slots=True)
class Run(runs.Run):
    """What makes a run itself: everything that decides what a reply says."""

    input_sha256: str
    """The hash of its lines."""

    form: str = OWN
    """The form of the lines, in and out."""


@dataclass(slots=True)
class Output:
    """What there is of a run."""

    path: Path
    """The file of the replies."""

    run: Run
    """Whose they are."""

    done: Ids
    """The keys of the replies, see `jobs.key`."""

    replies: int = 0
    """How many there are."""

    cut_off: int = 0
    """How many of them ended for want of tokens."""

    damaged: int = 0
    """Lines that make no sense."""

    length: int | None = None
    """Bytes of the file that are whole lines; None where there is no file."""

    @property
    def form(self) -> Form:
        """The form of its lines."""
        return forms.named(self.run.form)

    def count(self, finish_reason: object) -> None:
        """Count a reply in."""
        self.replies += 1
        self.cut_off += finish_reason == "length"


def check_paths(source: Path, out: Path) -> None:
    """Raise UsageError for what cannot be read or written, before anything is loaded."""
    if str(source) == "-":
        raise UsageError(
            "A batch reads its questions again when it goes on, so it takes none from standard "
            "input; write them to a file first."
        )
    next(lines.read(source), None)
    for path in (out, run_file(out)):
        if path.exists() and path.samefile(source):
            raise UsageError(f"{path} is what is read; name another file with -o.")
    if out.exists() and not out.is_file():
        raise UsageError(f"{out} is no file that lines can be added to; name another with -o.")
    if not out.parent.is_dir():
        raise UsageError(f"There is no folder {out.parent}; make it, or name another file with -o.")


def run_file(out: Path) -> Path:
    """Where it is kept whose replies a file holds."""
    return out.with_name(f"{out.name}.run")


def resume(out: Path, run: Run) -> Output:
    """What there is of a run, perhaps nothing yet.

    A run without a seed has that of the file, or draws one. Raises UsageError if the file is
    another run's or holds something else.
    """
    try:
        size = out.stat().st_size if out.exists() else None
        if not size:
            _check_no_strangers(run_file(out))
            return Output(out, runs.begun(run), Ids(), length=size)
        run = runs.resumed(out, _kept_run(out), run)
        return _read(Output(out, run, Ids(), length=0))
    except OSError as error:
        raise UsageError(
            f"{out} cannot be read ({error.strerror or error}); name another file with -o."
        ) from None


def _read(output: Output) -> Output:
    """Note which replies there are."""
    form = output.form
    for line in journal.read(output.path):
        output.length = line.end
        noted = form.noted(line.value or {})
        if noted and output.done.add(key(noted.id, noted.sample)):
            output.count(noted.finish_reason)
        else:
            output.damaged += 1
    return output


def _check_no_strangers(path: Path) -> None:
    """Raise UsageError for a file that stands where we write ours, and is none of a batch."""
    if path.exists() and not state.read_json(path, _FORM, journal.MAX_LINE_BYTES).value:
        raise UsageError(
            f"{path} is there already and not from a batch, and would be written over; name "
            "another file with -o."
        )


def _kept_run(out: Path) -> Run:
    path = run_file(out)
    kept = state.read_json(path, _FORM, journal.MAX_LINE_BYTES).value
    names = {field.name for field in fields(Run)}
    sound = isinstance(kept, dict) and kept["minireason_batch"] == VERSION
    run = {"form": OWN, **kept["run"]} if sound else {}  # the first files did not say it
    if run.keys() != names or not isinstance(run["seed"], int):
        raise UsageError(
            f"{out} is there already, and {path.name} beside it does not say of which run; name "
            "another file with -o."
        )
    return Run(**run)


class Writer(journal.Appender):
    """The output, open for more replies."""

    def __init__(self, output: Output) -> None:
        """Cut a torn last line off. Raises StoreError."""
        self._output = output
        if not output.length:
            _keep_run(output)
        super().__init__(output.path, output.length, "replies")

    def write(self, value: Mapping[str, object], finish_reason: str) -> None:
        """Add a reply's line, see `append`."""
        self.append(value)
        self._output.count(finish_reason)


def _keep_run(output: Output) -> None:
    """Write whose replies these are going to be, before there is one; raises StoreError."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    head = {"minireason_batch": VERSION, "created": now, "minireason": __version__}
    data = journal.line({**head, "run": asdict(output.run)})
    try:
        files.write_whole(run_file(output.path), data, files.PRIVATE)
        files.sync_folder(output.path.parent)
    except OSError as error:
        raise journal.cannot_write("replies", output.path, error) from None
