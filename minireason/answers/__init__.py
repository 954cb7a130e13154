"""Answers: the final one in a text, its canonical form, and whether two are the same."""

from minireason.answers.boxes import boxed
from minireason.answers.compare import key, same
from minireason.answers.extract import final_answer, outright_answer

__all__ = ["boxed", "final_answer", "key", "outright_answer", "same"]
