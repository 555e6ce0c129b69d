"""The `prompts` section of a sweep file: where the prompts come from, and how much each generates."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from vbench.spec.fields import NotNegative, Positive, Text, wrong
from vbench.spec.problems import shown
from vbench.spec.prompt_types import PER_PROMPT, Lengths, Normal, PromptFormat, Uniform, Values, length_bounds
from vbench.spec.suggest import did_you_mean

MAX_SYNTHETIC_TOKENS = 50_000_000
MAX_SYNTHETIC_PROMPTS = 1_000_000
MAX_LENGTH = 50_000_000
"""Tokens of one prompt or answer: more than any model's context."""
_SHA256 = re.compile(r"[0-9a-f]{12,64}")
_FORMS = "write 512, {mean: 512, stdev: 128}, {low: 256, high: 1024} or {values: [128, 1024]}"
_KEYS = {"mean": ("stdev", "min", "max"), "low": ("high",), "values": ()}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, protected_namespaces=())


def read_length(value: object) -> int | Lengths:
    """A number of tokens, or how they are distributed. Raises an error whose words are passed on."""
    if not isinstance(value, dict):
        return _whole(value)
    kind = next((key for key in _KEYS if key in value), None)
    if kind is None:
        raise wrong("expected a number of tokens, or how they are distributed", _FORMS)
    known = (kind, *_KEYS[kind])
    for key in value:
        if key not in known:
            raise wrong(f"unknown key {str(key)!r}", did_you_mean(str(key), known) or f"known here: {', '.join(known)}")
    if kind == "values":
        if not isinstance(value["values"], list) or not value["values"]:
            raise wrong(f"values: expected a list of whole numbers, got {shown(value['values'])}", _FORMS)
        return Values(values=tuple(_whole(one, "values: ") for one in value["values"]))
    if kind == "low":
        low, high = _whole(value["low"], "low: "), _whole(value.get("high"), "high: ")
        if low > high:
            raise wrong(f"low ({low}) is more than high ({high})")
        return Uniform(low=low, high=high)
    return _normal(value)


def _normal(value: dict[str, Any]) -> Normal:
    mean, stdev = _number(value["mean"], "mean: "), _number(value.get("stdev"), "stdev: ")
    least = _whole(value.get("min", 1), "min: ")
    most = None if value.get("max") is None else _whole(value["max"], "max: ")
    if mean < 1:
        raise wrong(f"mean: must be 1 or more, got {shown(value['mean'])}")
    if most is not None and least > most:
        raise wrong(f"min ({least}) is more than max ({most})")
    return Normal(mean=mean, stdev=stdev, min=least, max=most)


def _whole(value: object, where: str = "") -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong(f"{where}expected a whole number, got {shown(value)}", "" if where else _FORMS)
    if value < 1:
        raise wrong(f"{where}must be 1 or more, got {value}")
    if value > MAX_LENGTH:
        raise wrong(f"{where}must be {MAX_LENGTH:,} or less, got {shown(value)}", "no model's context is so long")
    return value


def _number(value: object, where: str) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise wrong(f"{where}expected a number, got {shown(value)}", "write {mean: 512, stdev: 128}")
    if not math.isfinite(value) or not 0 <= value <= MAX_SYNTHETIC_TOKENS:
        raise wrong(f"{where}must be between 0 and {MAX_SYNTHETIC_TOKENS:,}, got {shown(value)}")
    return float(value)


def _output_length(value: object) -> object:
    if value is None or value == PER_PROMPT:
        return value
    if isinstance(value, str):
        raise wrong(f"expected a whole number, got {shown(value)}", did_you_mean(value, [PER_PROMPT]) or _FORMS)
    return read_length(value)


def _digest(value: object) -> object:
    if isinstance(value, str) and _SHA256.fullmatch(value.lower()):
        return value.lower()
    raise wrong(f"{shown(value)} is not a sha256", "12 to 64 hexadecimal digits, as `vbench prompts show` prints them")


_WHOLE_SCHEMA: dict[str, Any] = {"type": "integer", "minimum": 1}


def _mapping(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "additionalProperties": False, "properties": properties}


_LENGTH_SCHEMAS: list[dict[str, Any]] = [
    _WHOLE_SCHEMA,
    _mapping(
        ["mean", "stdev"],
        mean={"type": "number", "minimum": 1}, stdev={"type": "number", "minimum": 0},
        min=_WHOLE_SCHEMA, max=_WHOLE_SCHEMA,
    ),
    _mapping(["low", "high"], low=_WHOLE_SCHEMA, high=_WHOLE_SCHEMA),
    _mapping(["values"], values={"type": "array", "minItems": 1, "items": _WHOLE_SCHEMA}),
]  # fmt: skip
Length = Annotated[Any, BeforeValidator(read_length), WithJsonSchema({"anyOf": _LENGTH_SCHEMAS})]
OutputLength = Annotated[
    Any,
    BeforeValidator(_output_length),
    WithJsonSchema({"anyOf": [*_LENGTH_SCHEMAS, {"const": PER_PROMPT}, {"type": "null"}]}),
]
Sha256 = Annotated[str, BeforeValidator(_digest), WithJsonSchema({"type": "string", "pattern": "^[0-9a-fA-F]{12,64}$"})]


class SyntheticSection(_Section):
    """Random token ids, the same on every machine."""

    count: Positive = Field(le=MAX_SYNTHETIC_PROMPTS, description="Number of prompts.", examples=[64])
    input_tokens: Length = Field(description="Tokens of each prompt, or how they are distributed.", examples=[512])
    shared_prefix_tokens: NotNegative = Field(default=0, description="How many first tokens all prompts share.")
    shared_prefix_share: float | None = Field(
        default=None, ge=0, le=1, description="Instead: which share of each prompt its prefix is.", examples=[0.5]
    )
    num_prefixes: Positive = Field(
        default=1, le=MAX_SYNTHETIC_PROMPTS, description="How many different prefixes there are, taken in turn."
    )
    seed: NotNegative = Field(default=0, description="Another seed, another prompt set.")

    @model_validator(mode="after")
    def _fits(self) -> SyntheticSection:
        least, most = length_bounds(self.input_tokens)
        if self.shared_prefix_tokens and self.shared_prefix_share is not None:
            raise wrong("has both shared_prefix_tokens and shared_prefix_share", "write one")
        if self.num_prefixes > 1 and not self.shared_prefix_tokens and not self.shared_prefix_share:
            raise wrong("num_prefixes needs a prefix", "write shared_prefix_tokens: 128 or shared_prefix_share: 0.5")
        # Normal lengths without a min of their own stay above the prefix instead.
        if self.shared_prefix_tokens > (most if isinstance(self.input_tokens, Normal) else least):
            raise wrong(
                f"shared_prefix_tokens ({self.shared_prefix_tokens}) is more than input_tokens ({self.input_tokens})"
            )
        prefixes = self.num_prefixes * (self.shared_prefix_tokens or int(most * (self.shared_prefix_share or 0)))
        total = self.count * most + (prefixes if self.num_prefixes > 1 else 0)
        if total > MAX_SYNTHETIC_TOKENS:
            raise wrong(
                f"{total:,} tokens in all; the most is {MAX_SYNTHETIC_TOKENS:,}",
                "fewer or shorter prompts measure as well",
            )
        return self


class PromptsSection(_Section):
    """Where the prompts come from, and what is asked of the model with each."""

    file: Text | None = Field(
        default=None,
        description="JSON Lines, ShareGPT, text, or a folder of .txt files. Relative to the sweep file.",
        examples=["prompts/arc.jsonl"],
    )
    format: PromptFormat = Field(
        default="auto", description="How the file is written; auto looks at its name and start."
    )
    separator: Text | None = Field(
        default=None, description="The line between two prompts of a text file.", examples=["---"]
    )
    chat_template: bool = Field(
        default=False, description="Ask each plain prompt as a user message, through the model's chat template."
    )
    sha256: Sha256 | None = Field(default=None, description="Refuse the file if its content is another.")
    synthetic: SyntheticSection | None = Field(default=None, description="Random token ids instead of a file.")
    limit: Positive | None = Field(default=None, description="Only the first so many prompts.", examples=[200])
    output_tokens: OutputLength = Field(
        default=None,
        description="Exact number of tokens each prompt generates (end-of-text ignored), or their distribution.",
        examples=[128],
    )
    until_stop: bool = Field(default=False, description="Generate until the model stops, up to max_tokens.")
    max_tokens: Positive | None = Field(
        default=None, le=MAX_LENGTH, description="With until_stop: the most tokens a prompt may take."
    )

    @model_validator(mode="after")
    def _is_one_of_each(self) -> PromptsSection:
        if (self.file is None) == (self.synthetic is None):
            both = "has both file and synthetic" if self.file is not None else "has neither file nor synthetic"
            raise wrong(both, "write one: file: prompts.jsonl, or synthetic: {count: 64, input_tokens: 512}")
        if self.until_stop and self.output_tokens is not None:
            raise wrong("has both output_tokens and until_stop", "exactly so many tokens, or as many as it takes?")
        if self.until_stop and self.max_tokens is None:
            raise wrong("until_stop needs max_tokens", "a model that never stops would run forever")
        if not self.until_stop and self.output_tokens is None:
            raise wrong("doesn't say how much to generate", "write output_tokens: 128, or until_stop: true")
        if not self.until_stop and self.max_tokens is not None:
            raise wrong("max_tokens goes with until_stop: true", "output_tokens is exact and needs no maximum")
        return self

    @model_validator(mode="after")
    def _is_of_a_file(self) -> PromptsSection:
        if self.synthetic is not None:
            if self.chat_template:
                raise wrong("chat_template doesn't go with synthetic prompts", "they are token ids: no text to put in")
            for key, value in (("format", self.format), ("separator", self.separator), ("sha256", self.sha256)):
                if value not in (None, "auto"):
                    raise wrong(f"{key} goes with file", "synthetic prompts are made from their seed")
            if self.output_tokens == PER_PROMPT:
                raise wrong("output_tokens: per_prompt goes with file", "give synthetic prompts a distribution")
        if self.separator is not None and self.format not in ("auto", "text"):
            raise wrong(f"separator goes with format: text, not {self.format}")
        if self.separator is not None and self.separator.strip() != self.separator:
            raise wrong("separator: begins or ends with a space", "lines are compared without them")
        return self
