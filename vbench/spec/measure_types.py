"""How trials are measured and checked, as frozen types: passes, deadlines, and the guard of the answers' quality."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureSpec:
    """How often the prompt set is traversed, and what is done about measurements that can't be trusted."""

    warmup_passes: int = 1
    passes: int = 3
    """Timed passes; with `until` the fewest (5 at least)."""
    max_seconds: float | None = None
    """No new pass starts once timed passes have run so long."""
    until: float | None = None
    """Timed passes go on until the interval's half-width is at most this share of the value (0.02: 2 %)."""
    max_passes: int = 12
    """The most of them, with `until`."""
    settle: bool = True
    """Whether passes that hadn't settled yet are told apart from timed ones, and made up for."""
    reset_prefix_cache: bool = True
    """Whether the prefix cache is forgotten before each pass."""
    repeat_spoiled: bool = True
    """Whether a trial that something else disturbed is run once more."""
    reference_every: int | None = None
    """After so many trials the baseline (else the first completed trial) is measured again, to see drift. None: 15 in
    a search with method auto; 0: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """After these the worker is stopped and the trial is `timed_out`."""

    load_s: float = 900.0
    pass_s: float = 600.0
    close_s: float = 60.0
    release_s: float = 30.0
    """For GPU memory to be given back: after a trial, and before the next is begun, which is `interrupted` then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualitySpec:
    """Whether answers are as good as the reference configuration's, by a fixed text set.

    `when` None: `finalists` where a bound is set, or where the search has finals; else `never`.
    """

    when: Literal["never", "finalists", "always"] | None = None
    texts: Path | None = None
    """One text a line, or JSON lines with `text`; None: the set that vbench ships."""
    num_texts: int = 32
    """At most so many of them."""
    greedy_prompts: int = 8
    """So many prompts of the sweep are answered greedily, to compare token by token."""
    greedy_tokens: int = 64
    max_nll_increase: float | None = None
    """A constraint: relative increase of the negative log-likelihood per token over the reference's (0.02: 2 %)."""
    min_greedy_agreement: float | None = None
    """A constraint: share of greedy tokens equal to the reference's before the first difference (0 to 1)."""
