"""Which form a file's lines have."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from minireason import Settings, UsageError
from minireason.batch.forms import form_of, named
from minireason.batch.jobs import Defaults, read_item
from minireason.batch.lines import Line

THEIRS = b'{"custom_id": "a", "body": {"messages": [{"role": "user", "content": "hi"}]}}\n'
OURS = b'{"question": "hi"}\n'


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (THEIRS + OURS, "openai"),
        (OURS + THEIRS, "minireason"),
        (b"\xef\xbb\xbf\n{broken\n[1]\n" + THEIRS, "openai"),
        (b'{"custom_id": "a", "question": "hi"}\n', "minireason"),
        (b"{broken\n", "minireason"),
        (b"", "minireason"),
    ],
)
def test_the_first_line_that_is_an_object_decides(tmp_path: Path, text: bytes, form: str) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(text)
    assert form_of(path).name == form
    assert named(form).name == form


def test_a_line_of_the_other_form_is_a_broken_one() -> None:
    defaults = Defaults(Settings(), None, 1)
    with pytest.raises(UsageError, match="it has the form of OpenAI's batch API, and the first"):
        read_item(Line(1, THEIRS), defaults)
    with pytest.raises(UsageError, match="it has minireason's own form, and the first line that"):
        named("openai").item(Line(1, OURS), defaults)
    further = json.dumps({"question": "hi", "custom_id": "a", "body": 1}).encode()
    assert read_item(Line(1, further), defaults).further == {"custom_id": "a", "body": 1}


def test_our_own_form_loads_nothing_of_theirs() -> None:
    code = (
        "from minireason.batch import forms, output\n"
        "forms.named('minireason')\n"
        "import sys\n"
        "assert not {'pydantic', 'starlette'} & sys.modules.keys()\n"
        "forms.named('openai')\n"
        "assert 'starlette' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
