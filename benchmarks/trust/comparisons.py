"""Many comparisons by the tool's own loop (`vbench.sweep.comparing.interleaved`), on the real engine with short passes.

A value is a trial's output tok/s. Its engine is either kept for all (then a value is a pass, and only what varies from
pass to pass is in the spread) or, as `vbench compare --again` has it, a fresh one, forked for each value.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.trust.engine import ROOT, Engine, Ran, demo_prompts
from vbench.analysis.paired import Ratio, ratio_of_pairs
from vbench.sweep.comparing import interleaved

MODEL = ROOT / "models" / "tiny" / "base"
NUM_PROMPTS, OUTPUT_TOKENS = 4, 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How to compare: until a change of `detect` (a share) would be seen, in `most` pairs at most; a value is so many
    timed passes; each on a fresh engine, or all on a kept one."""

    detect: float = 0.03
    most: int = 12
    is_fresh: bool = False
    passes: int = 1

    def in_words(self) -> str:
        """For a table."""
        engine = "a fresh engine, forked for each" if self.is_fresh else "one engine kept for all values"
        passes = "one timed pass" if self.passes == 1 else f"{self.passes} timed passes"
        pairs = f"pairs until a change of {self.detect:.0%} would be seen, {self.most} at most"
        return f"{pairs}; a value is {passes}; {engine}"


def asked_of(is_fresh: bool, detect: float, most: int, passes: int = 1) -> Asked:
    """So many passes a value on a kept engine, three on a fresh one, as a sweep has them by default."""
    return Asked(detect=detect, most=most, is_fresh=is_fresh, passes=3 if is_fresh else passes)


def engine_for(folder: Path) -> Engine:
    """One with passes of about a tenth of a second."""
    return Engine(folder, MODEL, demo_prompts(NUM_PROMPTS), OUTPUT_TOKENS)


def compare(engine: Engine, asked: Asked, slow_share: float = 0.0) -> Ratio:
    """B ÷ A, where B's passes are made longer by `slow_share`. With 0 both are the same."""
    extra: dict[str, dict[str, Any]] = {"A": {}, "B": {"slow_share": slow_share} if slow_share else {}}
    run: Callable[..., Ran] = engine.fresh if asked.is_fresh else engine.again

    def value(side: str, _: int) -> float:
        return run(passes=asked.passes, **extra[side]).tok_s

    return ratio_of_pairs(interleaved(value, detect=asked.detect, most=asked.most))


def compare_often(engine: Engine, asked: Asked, count: int, slow_share: float = 0.0) -> list[Ratio]:
    """So many comparisons, one after another, on an engine that is warm."""
    for _ in range(3):
        engine.again(passes=1)
    if asked.is_fresh:
        engine.let_go()
    start, found = time.monotonic(), []
    for index in range(count):
        found.append(compare(engine, asked, slow_share))
        if (index + 1) % max(1, count // 10) == 0:
            clear = sum(one.is_clear for one in found)
            print(f"{index + 1} comparisons, {clear} clear, {time.monotonic() - start:.0f} s", flush=True)
    return found


def share_interval(count: int, total: int) -> tuple[float, float]:
    """95 % of a share of `count` in `total` (Wilson, *Journal of the American Statistical Association* 22, 1927).

    >>> [round(bound, 3) for bound in share_interval(10, 200)]
    [0.027, 0.09]
    """
    z = 1.959964
    middle = (count + z * z / 2) / (total + z * z)
    half = z * math.sqrt(count * (total - count) / total + z * z / 4) / (total + z * z)
    return max(0.0, middle - half), min(1.0, middle + half)
