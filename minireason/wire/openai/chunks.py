"""The chunks that OpenAI's streams of chat completions and of completions are made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minireason.wire.call import Origin, Outcome
from minireason.wire.openai.shapes import (
    DONE,
    compact,
    finish_reason,
    head,
    tally,
    timings,
    usage,
)
from minireason.wire.ours import extra


class Chunks:
    """Writes the chunks of one stream; what they have in common, their `object` too, once."""

    def __init__(self, origin: Origin, kind: str, *, include_usage: bool) -> None:
        self._origin, self._include_usage = origin, include_usage
        self._head = f"data: {compact(head(origin, kind))[:-1]}"
        self._tail = ',"usage":null' if include_usage else ""

    def choice(
        self,
        index: int,
        said: str,
        *,
        logprobs: str = "null",
        finish: str = "null",
        more: str = "",
    ) -> bytes:
        """A chunk of the choice `index`; all texts are JSON, `more` are fields of the chunk.

        `said` is the field with the text, such as '"delta":{}'.
        """
        choice = f'{{"index":{index},{said},"logprobs":{logprobs},"finish_reason":{finish}}}'
        return f'{self._head},"choices":[{choice}]{self._tail}{more}}}\n\n'.encode()

    def last(self, index: int, said: str, finish: str, fields: dict[str, Any]) -> bytes:
        """The last chunk of a choice, with fields of its own."""
        more = f",{compact(fields)[1:-1]}" if fields else ""
        return self.choice(index, said, finish=compact(finish), more=more)

    def ends(self, outcome: Outcome, said: str) -> Iterator[bytes]:
        """The last chunk of each reply; `said` is its field without text, see `choice`."""
        for index, reply in enumerate(outcome.replies):
            told = extra(self._origin, outcome.of_choice(index))
            fields = {"timings": timings([reply]), "minireason": told}
            yield self.last(index, said, finish_reason(reply), fields)

    def end(self, outcome: Outcome, fields: dict[str, Any]) -> Iterator[bytes]:
        """What comes after the last chunks: the usage, where it is wanted, and the end."""
        if self._include_usage:
            more = compact({"usage": usage(tally(outcome)), **fields})
            yield f'{self._head},"choices":[],{more[1:]}\n\n'.encode()
        yield DONE
