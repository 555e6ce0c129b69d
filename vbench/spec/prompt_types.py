"""What the `prompts` section of a sweep file means, as frozen types.

A sweep's digest is taken over these. So what a plain file says keeps the types it always had (`Path`, `int`,
`SyntheticPrompts`), and what came later has types of its own beside them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PER_PROMPT: Literal["per_prompt"] = "per_prompt"
"""Output length: each prompt's own, which its line of the file says."""
NORMAL_REACH = 6
"""Normal lengths are sums of twelve uniform numbers: none lies further than so many stdev from the mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Normal:
    """Normally distributed numbers of tokens, rounded, and clipped to `min` and `max`."""

    mean: float
    stdev: float
    min: int = 1
    max: int | None = None

    @property
    def bounds(self) -> tuple[int, int]:
        """The least and the most it can give."""
        reach = NORMAL_REACH * self.stdev
        return self.clipped(self.mean - reach), self.clipped(math.ceil(self.mean + reach))

    def clipped(self, value: float) -> int:
        """The whole number nearest to a drawn one that lies within min and max."""
        number = max(self.min, round(value))
        return number if self.max is None else min(self.max, number)

    def __str__(self) -> str:
        return f"{self.mean:g}±{self.stdev:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Uniform:
    """Whole numbers from `low` to `high`, both included, each as likely as another."""

    low: int
    high: int

    @property
    def bounds(self) -> tuple[int, int]:
        """The least and the most it can give."""
        return self.low, self.high

    def __str__(self) -> str:
        return f"{self.low}..{self.high}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """These numbers in turn, over and over."""

    values: tuple[int, ...]

    @property
    def bounds(self) -> tuple[int, int]:
        """The least and the most it can give."""
        return min(self.values), max(self.values)

    def __str__(self) -> str:
        return ",".join(map(str, self.values))


Lengths = Normal | Uniform | Values


def length_bounds(length: int | Lengths) -> tuple[int, int]:
    """The least and the most tokens that a length can come to."""
    return (length, length) if isinstance(length, int) else length.bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticPrompts:
    """Random token ids: `count` prompts of `input_tokens`, the first `shared_prefix_tokens` of each the same."""

    count: int
    input_tokens: int
    shared_prefix_tokens: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class VariedPrompts:
    """Random token ids whose lengths differ, or that share their beginnings in groups.

    The first `shared_prefix_tokens` of each prompt, or that share of it, are those of its group's prefix; prompt i
    belongs to group i modulo `num_prefixes`.
    """

    count: int
    input_tokens: int | Lengths
    shared_prefix_tokens: int = 0
    shared_prefix_share: float | None = None
    num_prefixes: int = 1
    seed: int = 0


PromptFormat = Literal["auto", "jsonl", "sharegpt", "text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFile:
    """A file of prompts, or a folder of `.txt` files, and how it is to be read."""

    path: Path
    format: PromptFormat = "auto"
    separator: str | None = None
    """A line of a text file that stands between two prompts."""
    chat_template: bool = False
    """Ask each plain prompt as one user message, through the model's chat template."""
    sha256: str | None = None
    """What the content must have, at least its first digits; by whichever of the two digests (`prompts.reading`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSpec:
    """Where the fixed prompts come from (exactly one of `file`, `synthetic`) and how much each generates.
    `output_tokens` is exact (`ignore_eos`), for all or drawn for each; None means `until_stop`, up to `max_tokens`."""

    file: Path | PromptFile | None = None
    """A Path where nothing else is said of it."""
    synthetic: SyntheticPrompts | VariedPrompts | None = None
    limit: int | None = None
    output_tokens: int | Lengths | Literal["per_prompt"] | None = None
    max_tokens: int | None = None
