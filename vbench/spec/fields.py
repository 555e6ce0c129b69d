"""The kinds of values that a sweep file's keys hold: how each is checked, said to be wrong, and shown to editors."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from vbench.spec.problems import shown
from vbench.units import parse_duration_s

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_OWN_VARIABLES = ("VBENCH_RUN", "VBENCH_KEEPER")
_LONGEST_VARIABLE = 100_000
"""Linux starts no process with a variable of more than 128 KiB."""
_MOST_VARIABLES = 500_000


def wrong(reason: str, hint: str = "") -> PydanticCustomError:
    """An error whose words `problems` passes on as they are."""
    return PydanticCustomError("vbench", "{reason}", {"reason": reason, "hint": hint})


def _duration(value: object) -> float:
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        raise wrong(f"expected a duration, got {shown(value)}", "write 90s, 10m, 6h or 1h30m")
    try:
        return parse_duration_s(value)
    except ValueError as error:
        raise wrong(str(error)) from error


def _share(value: object) -> float:
    """`2%` or 0.02, above 0 and at most 1."""
    text = value.strip().removesuffix("%") if isinstance(value, str) and value.strip().endswith("%") else None
    try:
        share = float(text) / 100 if text is not None else value
    except ValueError:
        share = None
    if not isinstance(share, (int, float)) or isinstance(share, bool):
        raise wrong(f"expected a share, got {shown(value)}", "write 2% or 0.02")
    if not 0 < share <= 1:
        raise wrong(f"a share is above 0 and at most 100%, got {shown(value)}", "write 2% or 0.02")
    return float(share)


def _checked_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise wrong(f"{shown(value)} can't name a folder", "letters, digits, '.', '_' and '-', at most 100")
    return value


def variable_value(value: object) -> str:
    """An environment variable's text; raises an error whose words are passed on."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise wrong(f"expected text or a whole number, got {shown(value)}", "quote it to make it text")
    if len(value.encode("utf-8", "surrogatepass")) > _LONGEST_VARIABLE:
        raise wrong(f"longer than {_LONGEST_VARIABLE:,} bytes: no process could be started with it")
    return value


def variable_problem(name: str) -> str | None:
    """What is wrong with an environment variable's name."""
    if not _VARIABLE.fullmatch(name):
        return f"{shown(name)} is not the name of an environment variable"
    return f"{name} is what vbench knows its own processes by" if name in _OWN_VARIABLES else None


def _checked_variables(values: dict[str, str]) -> dict[str, str]:
    for name in values:
        problem = variable_problem(name)
        if problem is not None:
            raise wrong(problem)
    if sum(len(name) + len(value.encode("utf-8", "surrogatepass")) for name, value in values.items()) > _MOST_VARIABLES:
        raise wrong(f"more than {_MOST_VARIABLES:,} bytes in all: no process could be started with them")
    return values


Name = Annotated[str, AfterValidator(_checked_name)]
Text = Annotated[str, Field(min_length=1)]
Positive = Annotated[int, Field(ge=1)]
MAX_REPLICAS = 1024
Count = Annotated[int, Field(ge=1, le=100_000)]
"""Of what takes memory or processes as it grows: a slip of the keyboard mustn't take the machine."""
NotNegative = Annotated[int, Field(ge=0)]
Duration = Annotated[
    float,
    BeforeValidator(_duration),
    WithJsonSchema(
        {
            "description": "Seconds, or a text such as 90s, 10m, 6h, 1h30m.",
            "anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "examples": ["90s", "6h"]}],
        }
    ),
]
Share = Annotated[
    float,
    BeforeValidator(_share),
    WithJsonSchema(
        {
            "description": "A share: a text such as 2%, or 0.02.",
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
                {"type": "string", "pattern": "%$", "examples": ["2%"]},
            ],
        }
    ),
]
VariableValue = Annotated[str, BeforeValidator(variable_value), WithJsonSchema({"type": ["string", "integer"]})]
_SCALARS = ["string", "number", "boolean", "null"]
Domains = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": {
                "anyOf": [
                    {
                        "type": "array",
                        "description": "Options: plain values, or `label: {settings}`; none leaves the argument out.",
                        "minItems": 1,
                        "items": {"anyOf": [{"type": _SCALARS}, {"type": "object", "maxProperties": 1}]},
                    },
                    {
                        "type": "object",
                        "description": "Numbers from low to high, both included.",
                        "required": ["low", "high"],
                        "additionalProperties": False,
                        "properties": {
                            "low": {"type": "number"},
                            "high": {"type": "number"},
                            "step": {"type": "number", "exclusiveMinimum": 0},
                            "log": {"type": "boolean"},
                        },
                    },
                ]
            },
        }
    ),
]
Variables = Annotated[dict[str, VariableValue], AfterValidator(_checked_variables)]
