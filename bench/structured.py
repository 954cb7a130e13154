"""Measure structured answers: are all of them valid, and what do they cost in speed?

A part of thinking.py.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable
from typing import Any, TypeAlias

import jsonschema

import minireason
from minireason import Reasoner, Reply

WANTED: dict[str, dict[str, Any]] = {
    "an integer": {"schema": {"type": "integer", "minimum": -50, "maximum": 19_998}},
    "a sum": {
        "schema": {
            "type": "object",
            "properties": {
                "answer": {"type": "integer", "minimum": 0, "maximum": 99_999},
                "sure": {"type": "boolean"},
            },
            "required": ["answer", "sure"],
            "additionalProperties": False,
        }
    },
    "steps": {
        "schema": {
            "type": "object",
            "properties": {
                "steps": {
                    "type": "array",
                    "items": {"type": "string", "maxLength": 12},
                    "minItems": 1,
                    "maxItems": 4,
                },
                "unit": {"enum": ["apples", "coins", None]},
                "note": {"type": "string", "maxLength": 20},
            },
            "required": ["steps", "unit"],
            "additionalProperties": False,
        }
    },
    "either": {
        "schema": {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1, "multipleOf": 0.25},
                {"const": "unknown"},
                {"type": "null"},
            ]
        }
    },
    "a tree": {
        "schema": {
            "$defs": {
                "leaf": {
                    "type": "object",
                    "properties": {
                        "name": {"type": "string", "pattern": "^[a-z]{1,8}$"},
                        "size": {"enum": [1, 2.5, 10]},
                    },
                    "required": ["name"],
                    "additionalProperties": False,
                }
            },
            "type": "array",
            "items": {"$ref": "#/$defs/leaf"},
            "maxItems": 3,
        }
    },
    "a date": {"schema": {"type": "string", "format": "date"}},
    "choices": {"choices": ["yes", "no", "I don't know"]},
    "a regex": {"regex": r"\d{1,5} (apples|coins)(, about \d{1,2}\.\d%)?"},
}
"""What answers are held to.

Each bounds how long one can be, or it would only show how long a limit is.
"""
RUNS = 500
SPEED_TOKENS = 48
SPEED_PAIRS = 5
SPEED: dict[str, dict[str, Any]] = {
    "digits": {
        "type": "array",
        "items": {"type": "integer", "minimum": 0, "maximum": 9},
        "minItems": 200,
        "maxItems": 200,
    },
    "text": {"type": "string", "minLength": 1000, "maxLength": 1000},
}

Run: TypeAlias = Callable[[Reasoner, int, Callable[[int], dict[str, Any]]], list[Reply]]


def valid(wanted: dict[str, Any], reply: Reply) -> bool:
    """By jsonschema and re, not by what minireason says.

    Its own typed value has to be there as well.
    """
    if "choices" in wanted:
        return reply.answer in wanted["choices"] and reply.parsed == reply.answer
    if "regex" in wanted:
        return bool(re.fullmatch(wanted["regex"], reply.answer)) and reply.parsed == reply.answer
    try:
        value = json.loads(reply.answer)
        jsonschema.validate(value, wanted["schema"], format_checker=jsonschema.FormatChecker())
    except (ValueError, jsonschema.ValidationError):
        return False
    return bool(reply.parsed == value)


def validity(reasoner: Reasoner, run: Run, budget: int | None) -> dict[str, dict[str, int]]:
    """Runs and valid answers of each kind at temperature 1, `RUNS` in all.

    A budget for thoughts that would not end.
    """
    kinds = list(WANTED)
    settings: Callable[[int], dict[str, Any]] = lambda i: {  # noqa: E731
        "temperature": 1.0,
        "top_p": 1.0,
        "thinking_budget": budget,
        **WANTED[kinds[i % len(kinds)]],
    }
    given = run(reasoner, RUNS, settings)
    counts = {kind: {"runs": 0, "valid": 0} for kind in kinds}
    for index, reply in enumerate(given):
        kind = kinds[index % len(kinds)]
        counts[kind]["runs"] += 1
        counts[kind]["valid"] += valid(WANTED[kind], reply)
    return counts


def slowdown(path: str) -> dict[str, dict[str, float]]:
    """Tokens a second of an answer of one length, without a schema and with one, in turn.

    The medians, and that of the ratios.
    """
    speeds: dict[str, list[tuple[float, float]]] = {kind: [] for kind in SPEED}
    with minireason.load(path) as reasoner:

        def speed(seed: int, **settings: Any) -> float:
            reply = reasoner.ask(
                "What is 47 * 86?", seed=seed, thinking=False, max_tokens=SPEED_TOKENS, **settings
            )
            return reply.timings.tokens_per_s or 0.0

        speed(0, schema=SPEED["text"])  # makes the tokenizer, once for a model
        for seed in range(SPEED_PAIRS):
            for kind, schema in SPEED.items():
                speeds[kind].append((speed(seed), speed(seed, schema=schema)))
    return {
        kind: {
            "free": statistics.median(free for free, _ in pairs),
            "held": statistics.median(held for _, held in pairs),
            "ratio": statistics.median(held / free for free, held in pairs),
        }
        for kind, pairs in speeds.items()
    }


def validity_table(measured: dict[str, Any]) -> str:
    lines = [
        "| answers held to | " + " | ".join(f"{model}: valid" for model in measured) + " |",
        "|---" + "|---:" * len(measured) + "|",
    ]
    for kind in WANTED:
        lines.append(
            f"| {kind} | "
            + " | ".join(f"{of[kind]['valid']} of {of[kind]['runs']}" for of in measured.values())
            + " |"
        )
    return "\n".join(lines)


def slowdown_table(measured: dict[str, Any]) -> str:
    lines = [
        "| answer, 1.5B shape | tokens/s without | with a schema | ratio |",
        "|---|---:|---:|---:|",
    ]
    lines += [
        f"| {kind} | {of['free']:.2f} | {of['held']:.2f} | {of['ratio']:.3f} |"
        for kind, of in measured.items()
    ]
    return "\n".join(lines)
