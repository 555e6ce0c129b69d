"""How many times B is A where the two weren't measured in turns: from the passes of each, as they are."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from vbench.analysis.paired import LEVEL, Ratio, detectable_of
from vbench.analysis.student_t import student_quantile


def ratio_of_passes(a: Sequence[float], b: Sequence[float]) -> Ratio:
    """B ÷ A from the values of each side's passes: the ratio of their geometric means, with Welch's t interval of the
    difference of the logs (Welch, *Biometrika* 34, 1947).

    Wrong at its nominal rate or less from two passes a side on, where the worst case of three passes a side leaves out
    the truth in one comparison of ten. Start-to-start spread isn't in it. `single` where a side has one value only.
    Raises ValueError for no values, or one that isn't finite and above 0.
    """
    if not a or not b:
        raise ValueError("there are no values to compare")
    for value in (*a, *b):
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{value} has no ratio: values must be finite and above 0")
    above, below = [math.log(value) for value in b], [math.log(value) for value in a]
    change = statistics.fmean(above) - statistics.fmean(below)
    fewer = min(len(a), len(b))
    ratio = math.exp(change)
    if fewer == 1:
        return Ratio(ratio=ratio, low=ratio, high=ratio, num_pairs=1, method="single", detectable=None)
    parts = [statistics.variance(side) / len(side) for side in (above, below)]
    dof = _dof(parts, [len(above), len(below)])
    half = _quantile((1 + LEVEL) / 2, dof) * math.sqrt(sum(parts))
    return Ratio(
        ratio=ratio,
        low=math.exp(change - half),
        high=math.exp(change + half),
        num_pairs=fewer,
        method="t",
        detectable=detectable_of(half, math.ceil(dof)),
    )


def _dof(parts: Sequence[float], counts: Sequence[int]) -> float:
    """Welch's degrees of freedom; `parts` are the squared standard errors of the two means."""
    below = sum(part**2 / (count - 1) for part, count in zip(parts, counts, strict=True))
    return max(1.0, sum(parts) ** 2 / below) if below > 0 else float(sum(counts) - len(counts))


def _quantile(probability: float, dof: float) -> float:
    """Student's quantile between whole degrees of freedom, by interpolation in their reciprocals: never too small."""
    few, many = math.floor(dof), math.floor(dof) + 1
    weight = (1 / few - 1 / dof) / (1 / few - 1 / many)
    return (1 - weight) * student_quantile(probability, few) + weight * student_quantile(probability, many)
