from __future__ import annotations

from minireason import BadSetting
from minireason.cli import wording


def test_a_problem_that_asks_ends_with_its_question_mark() -> None:
    error = BadSetting("top_p", 1, "there is no such setting; did you mean top_k?")
    assert str(error) == "top_p=1: there is no such setting; did you mean top_k?"
    said = wording.as_typed(error, {"top_p": "--top-p", "top_k": "--top-k"})
    assert said == "--top-p 1: there is no such setting; did you mean --top-k?"
