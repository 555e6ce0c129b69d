"""`--fail-if-slower`: whether a loss is shown, excluded, or neither. Decided on the interval, never on the ratio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vbench.analysis.paired import Ratio
from vbench.metrics import metric_of

Decision = Literal["slower", "not_slower", "unsure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What was found about a loss of more than `share`."""

    share: float
    decision: Decision
    """`slower`: the whole interval lies beyond the loss. `not_slower`: the whole interval lies on this side of it.
    `unsure`: the loss is within the interval, or no interval is known."""
    detectable: float | None
    """Beyond `share`, how much more of a loss would have been shown with 80 % power; None where it isn't known."""

    def fails(self, *, is_strict: bool) -> bool:
        """Whether the job is to fail; `is_strict`: also where the loss couldn't be excluded."""
        return self.decision == "slower" or (is_strict and self.decision == "unsure")


def gate(ratio: Ratio | None, metric: str, share: float) -> Gate:
    """Whether B is worse than A by more than `share` (0.03): below 0.97 of A's throughput, above 1.03 of its latency.

    Where B has lost exactly `share`, `slower` comes of 2.5 % of comparisons.
    """
    if ratio is None or ratio.method in ("range", "single"):
        return Gate(share=share, decision="unsure", detectable=None)
    if metric_of(metric).direction == "maximize":
        bound, is_beyond, is_within = 1 - share, ratio.high < 1 - share, ratio.low >= 1 - share
    else:
        bound, is_beyond, is_within = 1 + share, ratio.low > 1 + share, ratio.high <= 1 + share
    decision: Decision = "slower" if is_beyond else "not_slower" if is_within else "unsure"
    more = None if ratio.detectable is None else bound * ratio.detectable
    return Gate(share=share, decision=decision, detectable=more)
