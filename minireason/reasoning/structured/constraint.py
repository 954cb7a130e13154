"""Structured answers: what an answer has to be, and the mask that holds a model to it.

A constraint is a grammar for llguidance (extra `schema`), whose masks take 0.15 ms for 152k tokens; llama.cpp's own grammar sampler
takes 18 to 34, and its converter drops bounds of integers without a word. What llguidance cannot do it refuses, and so do we,
before a model is loaded. Checking takes milliseconds, so what was found is kept: many chains and commands ask for the same again.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from minireason.checks import plain
from minireason.engine.base import Mask, Vocabulary
from minireason.errors import BadSetting, UsageError, shortened
from minireason.reasoning import prompt
from minireason.reasoning.structured.schema import closed, ends
from minireason.reasoning.text import Utf8
from minireason.settings import Settings

if TYPE_CHECKING:
    from llguidance import LLMatcher
    from llguidance._lib import JsonCompileOptions

_JSON_STYLE: JsonCompileOptions = {
    "item_separator": ", ",
    "key_separator": ": ",
    "whitespace_flexible": False,
}
"""One line, as models write short JSON; free white space lets a model go on with it for ever."""

_MOST_REASON, _TRIED_BYTES, _KEPT = 160, 128, 64


@dataclass(frozen=True, slots=True)
class Constraint:
    """A grammar of llguidance, and what makes the typed value of a text that fits it; `parse` raises ValueError if it does not."""

    grammar: str
    parse: Callable[[str], Any]


def constraint(settings: Settings) -> Constraint | None:
    """What the settings ask of the answer; raises BadSetting, or UsageError without the extra."""
    if not settings.structured:
        return None
    missing = [name for name in ("llguidance", "jsonschema", "pydantic") if not find_spec(name)]
    if missing:
        raise UsageError(
            "Structured answers need the extra `schema`; install it with: pip install 'minireason[schema]'."
        )
    if settings.schema is not None:
        return _by_schema(settings.schema)
    if settings.choices is not None:
        return _by_choices(settings.choices)
    return _by_regex(settings.regex or "")


def _by_schema(schema: Mapping[str, Any] | type[Any]) -> Constraint:
    from llguidance import LLMatcher

    def grammar_of(wanted: Mapping[str, Any]) -> str:
        text = json.dumps(wanted, allow_nan=False)
        return LLMatcher.grammar_from_json_schema(text, overrides=_JSON_STYLE)

    try:
        wanted, parse = _of_dict(schema) if isinstance(schema, Mapping) else _of_type(schema)
        if not ends(wanted):
            raise BadSetting(
                "schema", schema, "no value fits, since each would have to hold another of its kind"
            )
        _check("schema", schema, grammar_of(wanted))
        return Constraint(grammar_of(closed(wanted)), parse)
    except RecursionError:
        raise BadSetting("schema", schema, "is nested too deeply; make it flatter") from None
    except ValueError as error:  # a number beyond a float, for one
        problem = f"cannot be used ({shortened(str(error), _MOST_REASON)})"
        raise BadSetting("schema", schema, problem) from None


def _of_dict(schema: Mapping[str, Any]) -> tuple[dict[str, Any], Callable[[str], Any]]:
    """A JSON schema and its validator."""
    try:
        text = json.dumps(schema, allow_nan=False, default=_plain)
    except (TypeError, ValueError) as error:
        raise BadSetting("schema", schema, f"is not JSON ({error})") from None
    return _of_json(text)


def _plain(value: object) -> object:
    """A number of numpy's as JSON has it; raises TypeError."""
    found = plain(value)
    if found is value:
        raise TypeError(f"{type(value).__name__} is not JSON")
    return found


@functools.lru_cache(maxsize=_KEPT)
def _of_json(text: str) -> tuple[dict[str, Any], Callable[[str], Any]]:
    """By its text, since the dict of a caller may change."""
    from jsonschema import SchemaError, ValidationError
    from jsonschema.validators import Draft202012Validator, validator_for

    wanted = json.loads(text)
    kind = validator_for(wanted, default=Draft202012Validator)
    try:
        kind.check_schema(wanted)
    except SchemaError as error:
        where = "/".join(str(part) for part in error.absolute_path)
        problem = shortened(f"{f'{where}: ' if where else ''}{error.message}", _MOST_REASON)
        raise BadSetting("schema", wanted, f"is not a JSON schema ({problem})") from None
    validator = kind(wanted)

    def parse(text: str) -> Any:
        value = json.loads(text, parse_float=_finite)
        try:
            validator.validate(value)
        except ValidationError as error:
            raise ValueError(error.message) from None
        except ArithmeticError as error:  # multipleOf of a number beyond a float
            raise ValueError(str(error)) from None
        return value

    return wanted, parse


def _finite(digits: str) -> float:
    """A number that JSON can hold again; raises ValueError."""
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits} is beyond what a float holds")
    return number


def _of_type(kind: type[Any]) -> tuple[dict[str, Any], Callable[[str], Any]]:
    """A pydantic model, a dataclass or any other type that pydantic knows: its schema, and what makes an instance of JSON."""
    from pydantic import PydanticUserError, TypeAdapter
    from pydantic.errors import PydanticUndefinedAnnotation

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
        return adapter.json_schema(), adapter.validate_json
    except (PydanticUserError, PydanticUndefinedAnnotation):
        problem = "has to be a JSON schema, a pydantic model or a dataclass, with fields that JSON can hold"
        raise BadSetting("schema", kind, problem) from None
    except (ValueError, RecursionError):
        raise
    except Exception as error:  # the caller's own code may raise anything
        raise BadSetting("schema", kind, f"its own code failed ({_summary(error)})") from error


def _summary(error: Exception) -> str:
    return shortened(f"{type(error).__name__}: {error}".replace("\n", " "), _MOST_REASON)


def _by_choices(choices: Sequence[str]) -> Constraint:
    from llguidance import LLMatcher

    grammar = LLMatcher.grammar_from_regex(
        "|".join(map(re.escape, choices))
    )  # as a rule with alternatives it could take 2,000
    _check("choices", list(choices), grammar)
    return Constraint(grammar, str)


def _by_regex(regex: str) -> Constraint:
    from llguidance import LLMatcher

    grammar = LLMatcher.grammar_from_regex(regex)
    _check("regex", regex, grammar)
    return Constraint(grammar, str)


def _check(name: str, value: object, grammar: str) -> None:
    if problem := _problem(grammar):
        raise BadSetting(name, value, problem)


@functools.lru_cache(maxsize=_KEPT)
def _problem(grammar: str) -> str | None:
    """What is wrong with a grammar: that it cannot be read, that nothing fits it but perhaps the empty text, or that writing some
    text that fits finds it too complex; no model is needed for that."""
    from llguidance import LLMatcher, LLTokenizer

    wrong, messages = LLMatcher.validate_grammar_with_warnings(grammar)
    if wrong:
        lines = [line.strip() for line in messages[0].splitlines() if line.strip()]
        reason = next(
            (line.removeprefix("error: ") for line in lines if line.startswith("error:")), lines[0]
        )
        return f"cannot be used ({shortened(reason.rstrip('.'), _MOST_REASON)}); change what it names or leave it out"
    matcher = LLMatcher(LLTokenizer("byte"), grammar, log_level=0)
    for count in range(_TRIED_BYTES):
        bits = int.from_bytes(matcher.compute_bitmask()[: 256 // 8], "little")
        if not count and not bits:
            return (
                "nothing fits it but the empty text"
                if matcher.is_accepting()
                else "nothing fits it"
            )
        if not bits or not matcher.consume_token((bits & -bits).bit_length() - 1):
            break
    return (
        "is too complex to be followed; bound its repetitions more tightly"
        if matcher.is_error()
        else None
    )


class Tokenizer:
    """llguidance's view of a vocabulary, in which no special token can be part of an answer. Made once for a model: half a second for
    152k tokens."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        from llguidance import LLTokenizer, TokenizerWrapper

        self.vocabulary = vocabulary
        self.view = LLTokenizer(
            TokenizerWrapper(_Tokens(vocabulary)), eos_token=sorted(vocabulary.eog)
        )


class _Tokens:
    """A vocabulary as llguidance's TokenizerWrapper wants it."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.special_token_ids: Collection[int] = sorted(
            {*vocabulary.special.values(), *vocabulary.eog}
        )
        self.eos_token_id, self.bos_token_id = min(vocabulary.eog), None
        special = frozenset(self.special_token_ids)
        mark = b"\xff"  # at the beginning of a token it makes it a special one
        self.tokens = [
            (mark if token in special else b"") + vocabulary.piece(token)
            for token in range(vocabulary.n_vocab)
        ]
        self._vocabulary = vocabulary

    def __call__(self, text: bytes | str) -> list[int]:
        """The ids of what a constraint leaves no choice about, constants of a schema for one, which are text from outside."""
        plain = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        return prompt.encode_text(self._vocabulary, plain)


class Follower:
    """Holds one answer to its constraint, token by token."""

    def __init__(self, wanted: Constraint, tokenizer: Tokenizer) -> None:
        import numpy as np

        self._parse, self._piece = wanted.parse, tokenizer.vocabulary.piece
        self._wanted, self._tokenizer = wanted, tokenizer
        self._fed: list[int] = []
        self._matcher: LLMatcher | None = None
        self._bits = np.zeros(-(-tokenizer.vocabulary.n_vocab // 32), np.int32)
        self._utf8 = Utf8()
        self.text = ""

    def _following(self) -> LLMatcher:
        """The matcher, which has followed the tokens so far.

        It is made again after an error, since llguidance takes an interruption in the tokenizer, which it calls, for
        one of the grammar; a real one comes again.
        """
        from llguidance import LLMatcher

        if self._matcher is None or self._matcher.is_error():
            matcher = LLMatcher(self._tokenizer.view, self._wanted.grammar, log_level=0)
            for token in self._fed:
                matcher.consume_token(token)
            self._matcher = matcher
        return self._matcher

    def save(self) -> tuple[Any, ...]:
        """What `restore` takes."""
        return len(self._fed), self.text, self._utf8.save()

    def restore(self, saved: tuple[Any, ...]) -> None:
        """Go back to what was so when this was saved, by following the same tokens again."""
        size, self.text, utf8 = saved
        self._utf8.restore(utf8)
        self._matcher = None
        del self._fed[size:]

    def mask(self) -> Mask:
        """The tokens that can come now, the end of the text perhaps among them."""
        place = self._bits.ctypes.data, self._bits.nbytes
        self._following().unsafe_compute_mask_ptr(*place)
        if self._matcher and self._matcher.is_error():
            self._following().unsafe_compute_mask_ptr(*place)
        return self._bits.copy()

    def feed(self, token: int) -> str:
        """The text that a token of the answer completes."""
        matcher = self._following()
        matcher.consume_token(token)
        self._fed.append(token)
        text = "" if self._following().is_error() else self._utf8.feed(self._piece(token))
        self.text += text
        return text

    @property
    def over(self) -> bool:
        """Whether nothing can follow: the answer is whole, or llguidance gave up on a constraint that grew too complex on the way."""
        return self._following().is_stopped()

    @property
    def whole(self) -> bool:
        """Whether the answer may end here."""
        matcher = self._following()
        return not matcher.is_error() and matcher.is_accepting()

    def parsed(self) -> Any:
        """The typed value of a whole answer; None if it fails what no grammar can say, such as a
        check of a pydantic model's own.

        Runs the caller's own code, so not under a lock; raises UsageError if that fails with
        anything but ValueError.
        """
        try:
            return self._parse(self.text)
        except (ValueError, RecursionError):
            return None
        except Exception as error:  # the caller's own code may raise anything
            raise UsageError(
                f"The schema's own code failed on the answer ({_summary(error)}); "
                "a check that an answer does not pass has to raise ValueError. The answer itself "
                "is in the stream's reply."
            ) from error
