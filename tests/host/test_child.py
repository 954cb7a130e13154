"""Child processes: where they import from, and what ends them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import jinja2
import llama_cpp
import markupsafe
import numpy
import pytest

import minireason
from minireason.host import child, search_path
from minireason.host.child import Child, Ended, Limits

LIMITS = Limits(deadline_s=60.0, memory_bytes=2**30)
PACKAGE = Path(minireason.__file__).parent
LIBRARIES = {Path(module.__file__).parents[1] for module in (jinja2, llama_cpp, markupsafe, numpy)}
TRAPS = "jinja2 json sympy random types math_verify sitecustomize usercustomize numpy".split()


def trap(folder: Path, names: list[str] = TRAPS) -> Path:
    """Put modules into a folder that leave a mark beside it when they are run.

    Returns the folder where the marks would be.
    """
    marks = folder.parent / f"{folder.name}-marks"
    marks.mkdir()
    folder.mkdir(exist_ok=True)
    for name in names:
        code = f"open({str(marks / name)!r}, 'w').close()\nraise ImportError('a trap')\n"
        (folder / f"{name}.py").write_text(code)
    return marks


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path with a module `probe`; its `main` is written by the tests."""
    folder = tmp_path / "probes"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder / "probe.py"


def ran(probe: Path, body: str, limits: Limits = LIMITS, request: bytes = b"") -> Ended:
    probe.write_text(
        "def main(arguments):\n" + "".join(f"    {line}\n" for line in body.split("\n"))
    )
    return child.run("probe", "one", "two", limits=limits, request=request)


@pytest.mark.parametrize("spelt", ["", ".", "./", "..{sep}here", "{here}", "{here}{sep}", "{link}"])
def test_the_folder_where_the_user_stands_is_not_on_the_path(
    probe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spelt: str
) -> None:
    here, link = tmp_path / "here", tmp_path / "link"
    marks = trap(here)
    link.symlink_to(here)
    monkeypatch.chdir(here)
    entry = spelt.format(here=here, sep=os.sep, link=link)
    monkeypatch.setattr(sys, "path", [entry, *sys.path])
    ended = ran(probe, "import jinja2, json, random, types; print(jinja2.__file__)")
    assert ended.status == 0, ended
    assert Path(ended.output.decode().strip()) == Path(jinja2.__file__)
    assert list(marks.iterdir()) == []


def test_where_the_program_was_started_and_the_scripts_folder_are_not_on_the_path(
    tmp_path: Path,
) -> None:
    here, script = tmp_path / "here", tmp_path / "script" / "ask.py"
    marks = [trap(here), trap(script.parent)]
    for mark in (here, script.parent):
        (mark / "own.py").write_text("")
    script.write_text(
        f"import os, sys\nown = [sys.path.pop(0), {str(here)!r}]\n"
        "from minireason.engine import trial\nfrom minireason.host import search_path\n"
        f"os.chdir('/')\nsys.path[:0] = own\n"
        f"from pathlib import Path\ntrial.run(Path({str(PACKAGE / 'tiny' / 'tiny.gguf')!r}))\n"
        "assert not set(own) & set(search_path.inherited()), search_path.inherited()\n"
    )
    subprocess.run([sys.executable, str(script)], cwd=here, check=True)
    assert [list(mark.iterdir()) for mark in marks] == [[], []]


def test_where_the_user_stands_may_be_gone(
    probe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setattr(sys, "path", ["", ".", "relative", *sys.path])
    assert ran(probe, "pass").status == 0


def test_an_entry_that_would_become_two_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / f"a{os.pathsep}b"
    odd.mkdir()
    monkeypatch.syspath_prepend(str(odd))
    assert all(os.pathsep not in entry for entry in search_path.inherited())


USES = """
import sys
sys.path += {more!r}
from minireason.reasoning import template
print(template.render("{{{{ 1 + 1 }}}}", [], {{}}))
"""


def base_python() -> str:
    """The Python that a virtual environment was made from, which sees none of its packages."""
    return os.path.realpath(sys.executable)


def zipped(folder: Path) -> str:
    path = folder / "minireason.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in PACKAGE.rglob("*.py"):
            archive.write(file, Path("minireason") / file.relative_to(PACKAGE))
    return str(path)


def in_a_user_site(folder: Path) -> dict[str, str]:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = folder / "user" / "lib" / version / "site-packages"
    site.mkdir(parents=True)
    (site / "minireason").symlink_to(PACKAGE)
    (site / "libraries.pth").write_text("\n".join(map(str, LIBRARIES)))
    return {"PYTHONUSERBASE": str(folder / "user")}


@pytest.mark.parametrize("how", ["environment", "user", "pythonpath", "zip", "checkout"])
def test_children_start_wherever_minireason_is_installed(tmp_path: Path, how: str) -> None:
    """And nothing of the folder where the user stands is run.

    Even where minireason itself is imported from there.
    """
    here = tmp_path / "here"
    marks = trap(here)
    environment = {name: os.environ[name] for name in ("PATH", "MINIREASON_HOME")}
    python, more = base_python(), list[str]()
    libraries = os.pathsep.join(map(str, LIBRARIES))
    match how:
        case "environment":
            python = sys.executable
        case "user":
            environment |= in_a_user_site(tmp_path)
        case "pythonpath":
            environment["PYTHONPATH"] = f"{PACKAGE.parent}{os.pathsep}{libraries}"
        case "zip":
            environment["PYTHONPATH"] = f"{zipped(tmp_path)}{os.pathsep}{libraries}"
        case "checkout":
            (here / "minireason").symlink_to(PACKAGE)
            environment["PYTHONPATH"], more = libraries, [""]
    code = USES.format(more=more)
    done = subprocess.run(
        [python, "-P", "-c", code],
        cwd=here,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "2\n"), done
    assert list(marks.iterdir()) == []


def test_arguments_request_and_environment(probe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("PYTHONINSPECT", "1")
    body = "import os, sys; print(arguments, sys.stdin.read(), 'HF_TOKEN' in os.environ)"
    assert ran(probe, body, request=b"x" * 10) == Ended(
        0, b"['one', 'two'] xxxxxxxxxx True\n", "", ""
    )
    bare = child.run("probe", limits=LIMITS, bare=True)
    assert bare.output.endswith(b"False\n")


def test_how_it_ended_is_told(probe: Path) -> None:
    assert ran(probe, "raise SystemExit(3)").status == 3
    assert ran(probe, "import os; os.abort()").status == -6
    assert ran(probe, "raise ValueError('so it is')").reason == "ValueError: so it is"


def test_a_deadline_ends_the_child_and_its_own_children(probe: Path) -> None:
    body = "import subprocess, time\nprint(subprocess.Popen(['sleep', '100']).pid, flush=True)\n"
    ended = ran(probe, body + "time.sleep(100)", Limits(3.0, 2**30))
    assert ended.cut == "time"
    grandchild = Path("/proc", ended.output.decode().strip(), "stat")
    until(lambda: not grandchild.exists() or grandchild.read_text().split()[2] in "ZX")


def test_output_is_limited(probe: Path) -> None:
    ended = ran(probe, "while True: print('x' * 1000)", Limits(60.0, 2**30, output_bytes=50_000))
    assert ended.cut == "output"
    assert len(ended.output) <= 50_000


def test_memory_is_limited(probe: Path) -> None:
    ended = ran(probe, "print(len(bytearray(2**29)))", Limits(60.0, 2**28))
    assert (ended.status, ended.reason) == (1, "MemoryError")


def test_a_child_ends_without_its_parent(probe: Path) -> None:
    """Where the parent was killed, nobody else ends what computes for ever."""
    body = "from minireason.host import child_main\nchild_main.expire(0.2)\nwhile True: pass"
    assert ran(probe, body).status == 1


def test_a_child_that_cannot_start_is_an_error(
    probe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(OSError, match="No such file"):
        ran(probe, "pass")


def test_lines_of_a_lasting_child(probe: Path) -> None:
    probe.write_text(
        "import sys\ndef main(arguments):\n"
        "    for line in sys.stdin: print(line * 2, end='', flush=True)"
    )
    with Child("probe", limits=LIMITS, lasting=True) as echo:
        echo.send(b"one\n")
        assert (echo.line(60.0), echo.line(60.0)) == (b"one", b"one")
        with pytest.raises(TimeoutError):
            echo.line(0.05)
        assert echo.alive
    with pytest.raises(EOFError):
        echo.line(60.0)
    assert not echo.alive


def until(condition: object) -> None:
    """Wait until this holds, a minute at most."""
    assert callable(condition)
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
