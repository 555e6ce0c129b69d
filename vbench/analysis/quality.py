"""Whether a configuration's answers are as good as the reference's: likelihood of texts, and greedy answers."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from vbench.records.record import Quality, TrialRecord

_MIN_TEXTS = 5
"""Fewer carry no interval."""
_NUM_RESAMPLES = 2000
_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Where greedy answers part: in how many of the prompts, and the first of these with its first token (from 0)."""

    num_prompts: int
    prompt: int
    token: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One configuration against the reference. `notes` say what couldn't be compared."""

    nll_increase: float | None
    interval: tuple[float, float] | None
    greedy_agreement: float | None
    difference: Difference | None
    notes: list[str] = field(default_factory=list)


def compare_quality(one: Quality, reference: Quality) -> Comparison:
    """NLL per token over the reference's, minus 1, with a 95 % interval over texts; and the greedy answers.

    Likelihoods per token compare only where a text has as many tokens in both: other texts are left out, and with half
    of them the comparison (another tokenizer).
    """
    notes: list[str] = []
    pairs: list[tuple[float, float]] = []
    if one.texts_sha256 != reference.texts_sha256:
        notes.append("other texts were scored than of the reference: their likelihoods don't compare")
    else:
        counts = list(zip(one.tokens, reference.tokens, strict=False))
        both = zip(one.nll, reference.nll, counts, strict=False)
        pairs = [(mine, other) for mine, other, (tokens, others) in both if tokens == others > 0]
        left_out = len(one.nll) - sum(tokens == others for tokens, others in counts)
        if 2 * len(pairs) < len(one.nll):
            pairs = []
            notes.append(
                "most texts have another number of tokens than of the reference, so that likelihoods per token don't "
                "compare: keep one tokenizer, and the same max_model_len"
            )
        elif left_out:
            notes.append(f"{left_out} of {len(one.nll)} texts have another number of tokens than of the reference")
    increase, interval = _increase(pairs)
    agreement, difference = greedy_agreement(one.greedy, reference.greedy)
    return Comparison(
        nll_increase=increase, interval=interval, greedy_agreement=agreement, difference=difference, notes=notes
    )


def greedy_agreement(
    one: Sequence[Sequence[int]], reference: Sequence[Sequence[int]]
) -> tuple[float | None, Difference | None]:
    """The share of the reference's tokens that come before the first difference, of all prompts together, and where the
    answers part. Compared is what both have; None without a token of both."""
    same = total = parted = 0
    first: tuple[int, int] | None = None
    for prompt, (mine, other) in enumerate(zip(one, reference, strict=False)):
        length = min(len(mine), len(other))
        until = next((at for at in range(length) if mine[at] != other[at]), length)
        same, total = same + until, total + length
        if until < length:
            parted += 1
            first = first or (prompt, until)
    if total == 0:
        return None, None
    difference = None if first is None else Difference(num_prompts=parted, prompt=first[0], token=first[1])
    return same / total, difference


def _increase(pairs: Sequence[tuple[float, float]]) -> tuple[float | None, tuple[float, float] | None]:
    below = math.fsum(other for _, other in pairs)
    if below <= 0:
        return None, None
    increase = math.fsum(mine for mine, _ in pairs) / below - 1
    if len(pairs) < _MIN_TEXTS:
        return increase, None
    ratios = [mine / other if other > 0 else math.inf for mine, other in pairs]
    if max(ratios) - min(ratios) <= 1e-12:
        return increase, (increase, increase)  # every resample would be the same
    return increase, _bootstrap(pairs)


def _bootstrap(pairs: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """BCa bounds of the ratio of sums minus 1, texts drawn as pairs; the percentile bootstrap's where that fails.

    Seeded: the same texts give the same interval. SciPy is imported here: few commands need it.
    """
    import numpy as np
    from scipy.stats import bootstrap

    def statistic(mine: Any, other: Any, axis: int = -1) -> Any:
        return mine.sum(axis=axis) / other.sum(axis=axis) - 1

    sides = tuple(np.array(side) for side in zip(*pairs, strict=True))
    for method in ("BCa", "percentile"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a bound that can't be computed is NaN, and looked at below
            found = bootstrap(
                sides, statistic, paired=True, vectorized=True, n_resamples=_NUM_RESAMPLES, method=method,
                rng=np.random.default_rng(_SEED),
            ).confidence_interval  # fmt: skip
        if math.isfinite(found.low) and math.isfinite(found.high):
            return float(found.low), float(found.high)
    return None


def changes_answers(record: TrialRecord) -> bool:
    """Whether a configuration is quantized or speculates, so that it isn't the model as it is."""
    return bool(record.config.get("quantization") or record.config.get("speculative_config"))


def is_speculative(record: TrialRecord) -> bool:
    """Whether it speculates: greedy answers are to be the same then, token for token."""
    return bool(record.config.get("speculative_config"))
